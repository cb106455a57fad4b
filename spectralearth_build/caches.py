"""Cache folders for libraries where the home folder is unknown or not writable, as in many containers."""

from __future__ import annotations

import os
import stat
import tempfile
from functools import cache
from pathlib import Path


def settle_home() -> None:
    """Set HOME to a folder that nobody can make if the user has no home: some libraries fail otherwise.

    That is so for a user id that /etc/passwd does not have, without HOME. Numba would make a folder named ~.
    """
    if os.path.expanduser("~") == "~":  # noqa: PTH111  # never raises
        os.environ["HOME"] = "/proc/nonexistent"


@cache
def own_folder() -> str:
    """A folder for caches below the temporary folder that only this user can access; empty if there is none.

    Libraries run code from it, so a folder that belongs to someone else, or is open to others, is refused.
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
    """Give Matplotlib a cache folder if the user's is not writable; else it makes one, and warns, each time."""
    settle_home()
    default = Path(os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config"))  # noqa: PTH111  # never raises
    if "MPLCONFIGDIR" not in os.environ and not writable(default) and (folder := own_folder()):
        os.environ["MPLCONFIGDIR"] = f"{folder}/matplotlib"


def writable(place: Path) -> bool:
    """Whether a folder, or its nearest existing parent, is writable."""
    while not place.exists() and place != place.parent:
        place = place.parent
    return os.access(place, os.W_OK)
