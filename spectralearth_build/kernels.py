"""How compiled kernels are made here: cached on disk, free of the GIL, typed for the reader and the checker."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile ``function`` with numba, once per machine and argument types."""
    return cast(Callable[P, R], numba.njit(cache=True, nogil=True)(function))
