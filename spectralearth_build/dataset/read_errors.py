"""Translation of errors that libraries raise when they read a store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spectralearth_build.errors import BuildError, DamagedError, printable
from spectralearth_build.faults import fault_of
from spectralearth_build.storage.url import Remote


@contextmanager
def told(folder: Path, remote: Remote | None) -> Iterator[None]:
    """Convert all errors raised within this context, in which zarr reads a store.

    Args:
        folder: folder of the dataset.
        remote: location of the store, if on an object store. Its messages may contain secrets and are not passed on.

    Raises:
        StorageError: The object store refuses access or does not respond.
        MachineError: The process may not open enough files, or has too little memory.
        DamagedError: For any other error.
    """
    try:
        yield
    except (BuildError, PermissionError):
        raise
    except Exception as error:
        if remote is not None:
            from spectralearth_build.storage.trouble import refused_by

            if (refusal := refused_by(error, str(remote))) is not None:
                raise refusal from None
        if fault := fault_of(error, folder):
            raise fault from error
        what = printable(f"The store cannot be read ({type(error).__name__}: {error}).")
        raise DamagedError(what, (remote and str(remote)) or folder) from error
