"""What a worker of an existing cluster must have: the same code as the driver, and memory for a task."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from dask.utils import format_bytes
from distributed import get_worker

from spectralearth_build.errors import MachineError

PACKAGE = Path(__file__).parents[1]


@cache
def contents() -> str:
    """Return a digest of the code of this package. The version of a checkout does not change with each commit."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        digest.update(f"{path.relative_to(PACKAGE).as_posix()}\n".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


@dataclass(frozen=True)
class Required:
    """What workers are checked for, also those that join later."""

    contents: str = ""
    """Digest of the driver's code; empty: not checked."""
    memory: int = 0
    """Bytes that a task may need."""

    def check(self) -> None:
        """Check the worker that calls this.

        Raises:
            MachineError: its code differs, or it has too little memory.
        """
        if self.contents and self.contents != contents():
            raise MachineError(
                "Its spectralearth-build has other code than that of the driver.",
                remedy="Install the same wheel or commit there.",
            )
        worker = get_worker()
        limit = worker.memory_manager.memory_limit
        if limit and limit // worker.state.nthreads < self.memory:
            raise MachineError(
                f"A task may need {format_bytes(self.memory)}; it has "
                f"{format_bytes(limit // worker.state.nthreads)} for each thread.",
                remedy="Start workers with more memory and one thread each.",
            )


NOTHING = Required()
"""No requirement."""
