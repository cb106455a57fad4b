"""Temporary files, which are inside the dataset because the system's temporary folder may be too small."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from spectralearth_build.faults import fault_of
from spectralearth_build.files import make_folder
from spectralearth_build.layout import SCRATCH


@contextmanager
def scratch_of(dataset: Path) -> Iterator[Path | None]:
    """Yield an empty temporary folder in a dataset; None (the system's) if the dataset is read-only.

    Raises:
        OutOfSpaceError, MachineError, ArchiveError: What is done with it fails because of the machine or its disk.
    """
    folder = dataset / SCRATCH
    if not _writable(folder):
        yield None
        return
    make_folder(folder)
    try:
        # The next run deletes what is left, and an error here would hide the one that ended the run.
        with TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as name:
            yield Path(name)
    except OSError as error:
        raise fault_of(error, folder) or error from error
    finally:
        with suppress(OSError):  # other runs may be using it
            folder.rmdir()
            folder.parent.rmdir()


def _writable(folder: Path) -> bool:
    """Return whether files can be created in a folder, or in its nearest existing parent."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    return os.access(there, os.W_OK | os.X_OK)
