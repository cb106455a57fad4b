"""Numba kernels: cached on disk, without the GIL, and with the types of the original function.

Numba keeps compiled code beside the package or in the user's cache. In a container, neither may be writable. Compiled
code then goes to a folder of this user below the temporary folder. Without that, every process compiles anew.
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
"""Not empty once numba found no cache folder of its own for a kernel."""


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile ``function`` with numba, once per machine and argument types."""
    try:
        compiled = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba found no writable folder
        _elsewhere.append(True)
        folder = own_folder()
        if folder:
            setattr(config, "CACHE_DIR", folder)  # noqa: B010  # numba defines its settings at run time
        compiled = numba.njit(cache=bool(folder), nogil=True)(function)
    return cast(Callable[P, R], compiled)


def cache_note() -> str:
    """A note on where compiled code is kept; empty if numba keeps it in its usual place."""
    if not _elsewhere:
        return ""
    remedy = "to keep it, type `export NUMBA_CACHE_DIR=/path/to/a/writable/folder`"
    if folder := own_folder():
        return f"compiled code is kept in {folder}, so the first plan compiles; {remedy}"
    return f"compiled code cannot be kept anywhere, so every run compiles for about a minute; {remedy}"
