"""Checks that workers of a cluster see the same files as the driver. Others, such as one without a mount, get no tasks.

Each worker is checked before its first task, and again whenever a task fails on it. The worker is suspected before the
product.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from distributed import Client, Future, get_worker

from spectralearth_build.cluster.task import Failure, Look, attempt
from spectralearth_build.errors import ArchiveError, BuildError, MachineError
from spectralearth_build.machine import check_machine
from spectralearth_build.progress import say
from spectralearth_build.signals import raise_if_stopped

PATIENCE = 60
"""Seconds to wait for the checks of the first workers. Workers that are busy with other work may take longer."""
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


def attempt_there(key: str, function: Callable[..., Any], arguments: tuple[Any, ...], look: Look) -> Any:  # noqa: ANN401
    """Run `attempt` on a worker that may not see the required files.

    Returns:
        The result of `attempt`, or a `Blind`.
    """
    try:
        try:
            outcome = attempt(key, function, arguments)
        except BuildError:
            look()
            raise
        if isinstance(outcome, Failure):
            look()
    except ArchiveError as error:
        return _blind(error)
    return outcome


def prove(look: Look) -> Blind | None:
    """Task that checks whether a worker sees the required files, on a working machine."""
    try:
        check_machine()
        look()
    except (ArchiveError, MachineError) as error:
        return _blind(error)
    return None


def _blind(error: BuildError) -> Blind:
    return Blind(get_worker().address, socket.gethostname(), error)


@dataclass
class Sight:
    """The workers of an existing cluster during one stage."""

    client: Client
    look: Look
    said: set[str]
    """Workers that were already reported to the user."""
    good: set[str] = field(default_factory=set)
    """Addresses of workers that passed the check."""
    blind: dict[str, Blind] = field(default_factory=dict)
    """Workers that failed the check, by address."""
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
        live = set(self.client.scheduler_info(n_workers=-1)["workers"])
        self.good &= live
        for gone in self._asked.keys() - live:
            self._asked.pop(gone).cancel()
        for address in live - self.good - self.blind.keys() - self._asked.keys():
            self._asked[address] = self.client.submit(
                prove, self.look, workers=[address], allow_other_workers=False, pure=False
            )
        for address, future in [item for item in self._asked.items() if item[1].done()]:
            del self._asked[address]
            # A worker that dies during the check is checked again if it comes back.
            answer = future.result() if future.status == "finished" else None
            if isinstance(answer, Blind):
                self.rule_out(answer)
            elif future.status == "finished":
                self.good.add(address)
        if live and not self.good and not self._asked:
            self._nobody()

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
        raise ArchiveError(
            "No worker of the cluster sees the same files as this process. "
            f"{' '.join(sorted(set(found))[:3])}",
            remedy="Mount archive and dataset at the same paths on every machine, then run the same command "
            "again.",
        )


def _short(blind: Blind) -> str:
    where = f"{blind.what.path}: " if blind.what.path else ""
    return f"{where}{blind.what.what}"
