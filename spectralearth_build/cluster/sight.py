"""Checks that workers of a cluster see the same files as the driver. Others, such as one without a mount, get no tasks.

Each worker is checked before its first task, and again whenever a task fails on it. The worker is suspected before the
product.
"""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass, field
from pkgutil import resolve_name
from typing import Any

from distributed import Client, Future, KilledWorker, get_worker

from spectralearth_build.cluster.requirements import NOTHING, Required
from spectralearth_build.cluster.task import Failure, Look, attempt_packed
from spectralearth_build.errors import ArchiveError, BuildError, MachineError, StoppedError, UsageError
from spectralearth_build.machine import check_machine
from spectralearth_build.progress import say
from spectralearth_build.signals import raise_if_stopped

PATIENCE = 60
"""Seconds to wait for the checks of the first workers. Workers that are busy with other work may take longer."""
LOST = "The connection to the Dask scheduler was lost."
_TICK = 0.1


@dataclass(frozen=True)
class Blind:
    """The response of a worker that does not see the required files."""

    worker: str
    """Address of the worker."""
    host: str
    """Name of the machine."""
    what: BuildError
    """What it cannot see, or what is wrong with its machine, as an error."""


def attempt_there(key: str, task: bytes, look: Look) -> Any:  # noqa: ANN401
    """Run `attempt_packed` on a worker that may not see the required files.

    Returns:
        The result of `attempt_packed`, or a `Blind`.
    """
    try:
        try:
            outcome = attempt_packed(key, task)
        except BuildError:
            look()
            raise
        if isinstance(outcome, Failure):
            look()
    except ArchiveError as error:
        return _blind(error)
    return outcome


def live_workers(client: Client) -> dict[str, Any]:
    """Return what the scheduler knows of its workers, by address.

    Raises:
        StoppedError: the scheduler is gone.
    """
    found = client.scheduler_info(n_workers=-1)
    if "workers" not in found:  # what a client without a connection gives
        raise StoppedError(LOST)
    workers: dict[str, Any] = dict(found["workers"])
    return workers


def prove(look: Look, required: Required) -> Blind | None:
    """Task that checks whether a worker has the same code, enough memory, a working machine and the required files."""
    try:
        required.check()
        check_machine()
        look()
    except (ArchiveError, MachineError) as error:
        return _blind(error)
    return None


def everything() -> None:
    """Check of tasks that need no files."""


def _blind(error: BuildError) -> Blind:
    return Blind(get_worker().address, socket.gethostname(), error)


@dataclass
class Sight:
    """The workers of an existing cluster during one stage."""

    client: Client
    look: Look
    said: set[str]
    """Workers that were already reported to the user."""
    required: Required = NOTHING
    """What else workers must have."""
    good: set[str] = field(default_factory=set)
    """Addresses of workers that passed the check."""
    blind: dict[str, Blind] = field(default_factory=dict)
    """Workers that failed the check, by address."""
    threads: int = 0
    """Threads of these workers together."""
    _able: set[str] = field(default_factory=set)
    """Workers that have the package."""
    _asked: dict[str, Future[Any]] = field(default_factory=dict)

    def begin(self) -> None:
        """Check every worker, and wait for the results.

        Raises:
            ArchiveError: No worker sees the required files.
        """
        limit = time.monotonic() + PATIENCE
        self.update()
        while self._asked and time.monotonic() < limit:
            raise_if_stopped()
            time.sleep(_TICK)
            self.update()

    def update(self) -> None:
        """Check new workers, and collect results.

        Raises:
            ArchiveError: There are workers, but none sees the required files.
        """
        found = live_workers(self.client)
        live = found.keys()
        self.good &= live
        for gone in self._asked.keys() - live:
            self._asked.pop(gone).cancel()
        for address, future in [item for item in self._asked.items() if item[1].done()]:
            del self._asked[address]
            # A worker that dies during the check is checked again if it comes back.
            answer = self._answer(address, future)
            if isinstance(answer, Blind):
                self.rule_out(answer)
            elif future.status == "finished":
                (self.good if address in self._able else self._able).add(address)
        for address in live - self.good - self.blind.keys() - self._asked.keys():
            self._asked[address] = self._ask(address)
        self.threads = sum(found[address]["nthreads"] for address in self.good)
        if live and not self.good and not self._asked:
            self._nobody()

    def _ask(self, address: str) -> Future[Any]:
        """Begin a check. A worker without the package would die of a task of it, so that is asked first."""
        mine = (prove, self.look, self.required)
        function = mine if address in self._able else (resolve_name, f"{__name__}:{prove.__name__}")
        return self.client.submit(*function, workers=[address], allow_other_workers=False, pure=False)

    def _answer(self, address: str, future: Future[Any]) -> Blind | None:
        """Return what a worker found; None: it died, or is sound. A check that fails otherwise rules the worker out."""
        if future.status == "finished":
            found: Blind | None = future.result()
            return found
        error = future.exception() if future.status == "error" else None
        if error is None or isinstance(error, KilledWorker):
            return None
        other = isinstance(error, ImportError | AttributeError)  # it has another version, or none
        what = "It cannot import this version of spectralearth-build" if other else "Its check failed"
        what = f"{what} ({type(error).__name__}: {error})."
        host = live_workers(self.client).get(address, {}).get("host", "its machine")
        return Blind(
            address, host, MachineError(what, remedy="Install the same wheel or commit there as here.")
        )

    def rule_out(self, blind: Blind) -> None:
        """Give a worker no more tasks, unless the archive itself is unavailable.

        Raises:
            ArchiveError: This process does not see the archive either.
        """
        self.look()
        self.good.discard(blind.worker)
        self.blind[blind.worker] = blind
        if blind.worker not in self.said:
            self.said.add(blind.worker)
            say(f"Worker {blind.worker} on {blind.host} gets no tasks: {_short(blind)}")

    def _nobody(self) -> None:
        found = [f"{blind.host}: {_short(blind)}" for blind in self.blind.values()]
        first = " ".join(sorted(set(found))[:3])
        whats = [blind.what for blind in self.blind.values()]
        if not any(isinstance(what, ArchiveError) for what in whats):
            raise UsageError(f"No worker of the cluster can run the tasks. {first}", remedy=whats[0].remedy)
        raise ArchiveError(
            f"No worker of the cluster sees the same files as this process. {first}",
            remedy="Mount archive and dataset at the same paths on every machine, then run the same command "
            "again.",
        )


def _short(blind: Blind) -> str:
    where = f"{blind.what.path}: " if blind.what.path else ""
    return f"{where}{blind.what.what}"
