"""Build multi-temporal hyperspectral pretraining datasets from EnMAP L2A archives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spectralearth_build.version import __version__

if TYPE_CHECKING:
    from spectralearth_build.dataset.access import open_dataset
    from spectralearth_build.labels.read import open_labels

__all__ = ["__version__", "open_dataset", "open_labels"]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Import what opens datasets when it is asked for, because all that it needs takes a second."""
    if name == "open_dataset":
        from spectralearth_build.dataset.access import open_dataset

        return open_dataset
    if name == "open_labels":
        from spectralearth_build.labels.read import open_labels

        return open_labels
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
