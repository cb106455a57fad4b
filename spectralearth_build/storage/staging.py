"""Where this machine keeps what it needs of object stores."""

from __future__ import annotations

import os
from pathlib import Path


def staging_folder(configured: str = "") -> Path:
    """The folder for mirrors, stand-ins and copies of tables: as configured, or in the user's cache."""
    if configured:
        return Path(configured).expanduser().resolve()
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache).resolve() / "spectralearth-build"
