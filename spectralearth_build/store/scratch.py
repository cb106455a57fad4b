"""Temporary files lie in the dataset, because the system's temporary folder may have no room."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from spectralearth_build.files import make_folder
from spectralearth_build.layout import SCRATCH


@contextmanager
def scratch_of(dataset: Path) -> Iterator[Path | None]:
    """Yield an empty folder beside a dataset; None, for the system's, where the dataset may only be read.

    Raises:
        OSError: there is no room.
    """
    folder = dataset / SCRATCH
    if not _writable(folder):
        yield None
        return
    make_folder(folder)
    try:
        with TemporaryDirectory(dir=folder) as name:
            yield Path(name)
    finally:
        with suppress(OSError):  # others may be using it
            folder.rmdir()
            folder.parent.rmdir()


def _writable(folder: Path) -> bool:
    """Whether files may be made in a folder, or in the nearest one above it that exists."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    return os.access(there, os.W_OK | os.X_OK)
