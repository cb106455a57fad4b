"""The local staging folder for data of object stores."""

from __future__ import annotations

import os
from pathlib import Path

from spectralearth_build.caches import writable
from spectralearth_build.errors import MachineError


def staging_folder(configured: str = "") -> Path:
    """Return the folder for mirrors, stand-ins and copies of tables: as configured, or in the user's cache.

    Raises:
        MachineError: It would be in the user's cache, which is not writable.
    """
    if configured:
        return Path(configured).expanduser().resolve()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))  # noqa: PTH111  # never raises
    if not cache.is_absolute() or not writable(cache):
        what = (
            "There is no folder for local copies of files on object stores: the user's cache is not writable."
        )
        raise MachineError(what, cache, "Add --set run.staging=/a/writable/folder.")
    return cache.resolve() / "spectralearth-build"
