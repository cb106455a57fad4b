"""How compiled kernels are made here: cached on disk, free of the GIL, typed for the reader and the checker.

Numba keeps compiled code beside the package, or in the user's cache. In a container neither may be writable; then a
folder of this user below the one for temporary files serves, or, without any, every process compiles for itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba
from numba import config

from spectralearth_build.caches import own_folder

P = ParamSpec("P")
R = TypeVar("R")
_elsewhere: list[bool] = []
"""Not empty once a kernel's code could not be kept where numba keeps it."""


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile ``function`` with numba, once per machine and argument types."""
    try:
        compiled = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # it found no folder that it can write to
        _elsewhere.append(True)
        folder = own_folder()
        if folder:
            setattr(config, "CACHE_DIR", folder)  # noqa: B010  # numba makes its names at run time
        compiled = numba.njit(cache=bool(folder), nogil=True)(function)
    return cast(Callable[P, R], compiled)


def cache_note() -> str:
    """What to tell users of where compiled code is kept; empty if it is where it always is."""
    if not _elsewhere:
        return ""
    remedy = "to keep it, type `export NUMBA_CACHE_DIR=/a/folder/of/yours`"
    if folder := own_folder():
        return f"compiled code is kept in {folder}, so the first plan compiles; {remedy}"
    return f"compiled code cannot be kept anywhere, so every run compiles for about a minute; {remedy}"
