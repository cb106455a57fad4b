"""Whether torch is there, asked before it is imported."""

from __future__ import annotations

import importlib.util

from spectralearth_build.errors import UsageError
from spectralearth_build.texts import install


def need_torch(what: str = "Training") -> None:
    """Say how to install torch.

    Raises:
        UsageError: it is not there.
    """
    if importlib.util.find_spec("torch") is None:
        raise UsageError(f"{what} needs torch.", remedy=install("train"))
