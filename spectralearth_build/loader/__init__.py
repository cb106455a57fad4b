"""Fast loading of batches for training: `Loader`, `PatchDataset`, `GeoPatches`, `open_reader`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spectralearth_build.loader.loader import Loader
from spectralearth_build.loader.samples import Samples
from spectralearth_build.loader.series import Rule
from spectralearth_build.reading.reader import Reader, open_reader

if TYPE_CHECKING:
    from spectralearth_build.loader.geo import GeoPatches
    from spectralearth_build.loader.patches import PatchDataset

__all__ = ["GeoPatches", "Loader", "PatchDataset", "Reader", "Rule", "Samples", "open_reader"]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Import the classes that need torch only when they are used."""
    if name == "PatchDataset":
        from spectralearth_build.loader.patches import PatchDataset

        return PatchDataset
    if name == "GeoPatches":
        from spectralearth_build.loader.geo import GeoPatches

        return GeoPatches
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
