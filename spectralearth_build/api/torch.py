"""Check for torch before it is imported."""

from __future__ import annotations

import importlib.util

from spectralearth_build.errors import UsageError
from spectralearth_build.texts import install


def need_torch(what: str = "Training") -> None:
    """Require torch, and say how to install it.

    Raises:
        UsageError: torch is not installed.
    """
    if importlib.util.find_spec("torch") is None:
        raise UsageError(f"{what} needs torch.", remedy=install("train"))
