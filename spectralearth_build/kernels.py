"""How compiled kernels are made here: cached on disk, free of the GIL, typed for the reader and the checker.

Numba keeps compiled code beside the package, or in the user's cache. In a container neither may be writable; then a
folder of this user below the one for temporary files serves, or, without any, every process compiles for itself.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import ParamSpec, TypeVar, cast

import numba
from numba import config

P = ParamSpec("P")
R = TypeVar("R")


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile ``function`` with numba, once per machine and argument types."""
    try:
        compiled = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # it found no folder that it can write to
        folder = _fallback()
        if folder:
            setattr(config, "CACHE_DIR", folder)  # noqa: B010  # numba makes its names at run time
        compiled = numba.njit(cache=bool(folder), nogil=True)(function)
    return cast(Callable[P, R], compiled)


def cache_note() -> str:
    """What to tell users of where compiled code is kept; empty if it is where it always is."""
    if _fallback.cache_info().currsize == 0:
        return ""
    remedy = "set NUMBA_CACHE_DIR to a folder of yours to keep it"
    if folder := _fallback():
        return f"compiled code is kept in {folder}, so the first plan compiles; {remedy}"
    return f"compiled code cannot be kept anywhere, so every run compiles, for a minute or so; {remedy}"


@cache
def _fallback() -> str:
    """A folder for compiled code that nobody else can write to; empty if there is none.

    Numba runs what it finds there, so a folder that is another's, or open to others, is not taken.
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
