"""What libraries raise when they read a store, in words of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spectralearth_build.errors import BuildError, DamagedError, printable
from spectralearth_build.faults import fault_of
from spectralearth_build.storage.url import Remote


@contextmanager
def told(folder: Path, remote: Remote | None) -> Iterator[None]:
    """Inside, zarr reads a store; whatever is raised becomes an error of ours.

    Args:
        folder: the dataset.
        remote: where its store is, if on an object store: what that answers may hold secrets and is not passed on.

    Raises:
        StorageError: the object store refuses or does not answer.
        MachineError: there are too few open files, or too little memory.
        DamagedError: anything else.
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
