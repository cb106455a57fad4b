"""Where libraries may keep what they compute again otherwise, in containers where the home cannot be written to."""

from __future__ import annotations

import os
import stat
import tempfile
from functools import cache
from pathlib import Path


@cache
def own_folder() -> str:
    """A folder below the one for temporary files that nobody else can write to; empty if there is none.

    Libraries run what they find there, so a folder that is another's, or open to others, is not taken.
    """
    try:
        folder = Path(tempfile.gettempdir()) / f"spectralearth-build-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
        with tempfile.TemporaryFile(dir=folder):
            return str(folder) if own else ""
    except OSError:
        return ""


def settle_caches() -> None:
    """Give Matplotlib a folder where the user's is not writable: it would make, and tell of, a new one each time."""
    default = Path(os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config"))  # noqa: PTH111  # never raises
    if "MPLCONFIGDIR" not in os.environ and not writable(default) and (folder := own_folder()):
        os.environ["MPLCONFIGDIR"] = f"{folder}/matplotlib"


def writable(place: Path) -> bool:
    """Whether a folder, or the nearest one above it that exists, can be written to."""
    while not place.exists() and place != place.parent:
        place = place.parent
    return os.access(place, os.W_OK)
