"""Where this machine keeps what it needs of object stores."""

from __future__ import annotations

import os
from pathlib import Path

from spectralearth_build.caches import writable
from spectralearth_build.errors import MachineError


def staging_folder(configured: str = "") -> Path:
    """The folder for mirrors, stand-ins and copies of tables: as configured, or in the user's cache.

    Raises:
        MachineError: it is to be in the user's cache, and nothing can be written there.
    """
    if configured:
        return Path(configured).expanduser().resolve()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))  # noqa: PTH111  # never raises
    if not cache.is_absolute() or not writable(cache):
        what = "The local copies of files on object stores have no place: the user's cache is not writable."
        raise MachineError(what, cache, "Type --set run.staging=/a/folder/of/yours.")
    return cache.resolve() / "spectralearth-build"
