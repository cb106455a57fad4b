"""Selection of patches to export, their order, and their assignment to files.

Patches of a location stay together in chronological order, so that a streaming reader gets all dates of a location in a
row. Locations are in pseudo-random order (by a hash of their names), so that neighbours in a file are not neighbours on
the ground. The order does not depend on the filters.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from spectralearth_build.dataset import select
from spectralearth_build.dataset.access import Dataset
from spectralearth_build.errors import UsageError
from spectralearth_build.layout import TileStatus
from spectralearth_build.overlap.lattice import corner_of
from spectralearth_build.store.index import Bounds

ONLY_SPLIT = "train"
"""Split name of all patches of a dataset without splits."""
NO_SPLIT = "none"
"""Split name of patches in no part, if the dataset has splits."""
FRACTIONS = ("cloud", "shadow", "haze", "cirrus", "snow", "water")

Row = dict[str, Any]
"""Metadata of a patch, by name."""


@dataclass(frozen=True)
class Filters:
    """Conditions on patches, as in `Dataset.query`."""

    bbox: Bounds | None = None
    """West, south, east, north in degrees."""
    start: str | None = None
    """Start time, inclusive."""
    end: str | None = None
    """End time, exclusive."""
    min_dates: int = 1
    """Minimum number of dates per location."""
    max_cloud: float | None = None
    """Maximum cloud fraction of a patch, 0-1."""
    split: str | None = None
    """Only patches of this split."""

    def document(self) -> Row:
        """Return the conditions that were set, by name."""
        given = asdict(self).items()
        return {name: value for name, value in given if value != getattr(type(self), name)}


@dataclass(frozen=True)
class ExportPart:
    """A run of consecutive patches that are written together: the unit of resuming."""

    split: str
    """Split of the patches."""
    number: int
    """Index among the parts of the split, from 0."""
    of: int
    """Number of parts of the split."""
    start: int
    """Position of the first patch in the selection."""
    stop: int
    """Position after the last patch."""

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def name(self) -> str:
        """The name: split and index."""
        return f"{self.split}-{self.number:05d}"


@dataclass(frozen=True)
class Selection:
    """Patches in the order of the export."""

    frame: pd.DataFrame
    """One row per patch: the columns of an export's patches.parquet."""
    wavelength_nm: dict[str, list[float]]
    """Actual centre wavelengths of the exported bands by tile, nm."""
    fwhm_nm: dict[str, list[float]]
    """Full widths at half maximum of the exported bands by tile, nm."""

    def __len__(self) -> int:
        return len(self.frame)

    def row(self, index: int) -> Row:
        """Return all metadata of a patch, including wavelengths; None for unknown values."""
        row = {name: _scalar(self.frame[name].array[index]) for name in self.frame}
        tile = row["tile_id"]
        return row | {"wavelength_nm": self.wavelength_nm[tile], "fwhm_nm": self.fwhm_nm[tile]}

    def plain(self, index: int) -> Row:
        """Return the same as JSON-compatible values, with the time as text."""
        row = self.row(index)
        return row | {"acquired": f"{row['acquired'].tz_localize(None).isoformat()}Z"}

    def microseconds(self, index: int) -> int:
        """Return the acquisition time of a patch, in microseconds since 1970 UTC."""
        return int(self.frame["acquired"].array[index].value // 1000)

    def parts(self, patches: int) -> list[ExportPart]:
        """Cut the selection into parts of at most ``patches``. A location is cut only if it alone has more."""
        splits, places = (self.frame[name].to_numpy(object) for name in ("split", "location_id"))
        new = (places[1:] != places[:-1]) | (splits[1:] != splits[:-1])
        edges = np.flatnonzero(np.concatenate([[True], new, [True]])).tolist()
        runs: dict[str, list[tuple[int, int]]] = {}
        for start, stop in pairwise(edges):
            mine = runs.setdefault(splits[start], [])
            if mine and stop - mine[-1][0] <= patches:
                mine[-1] = (mine[-1][0], stop)
            else:
                mine.extend((first, min(first + patches, stop)) for first in range(start, stop, patches))
        return [
            ExportPart(split, number, of=len(mine), start=start, stop=stop)
            for split, mine in runs.items()
            for number, (start, stop) in enumerate(mine)
        ]

    def digest(self) -> str:
        """Return the SHA-256 of the metadata of all patches."""
        found = hashlib.sha256()
        for name in self.frame:
            found.update("\n".join(map(str, self.frame[name])).encode())
        return found.hexdigest()


def select_patches(dataset: Dataset, filters: Filters, bands: npt.NDArray[np.intp]) -> Selection:
    """Find the patches to export.

    Args:
        dataset: the finished dataset.
        filters: conditions.
        bands: 0-based indices of the exported bands.

    Raises:
        UsageError: A condition is invalid, or no patch meets all conditions.
    """
    found = dataset.query(
        filters.bbox, (filters.start, filters.end), filters.min_dates, filters.max_cloud, filters.split
    )
    if found.empty:
        raise UsageError("No patch meets the conditions.", dataset.path, "Relax the conditions.")
    frame = _described(dataset, found)
    _check_names(frame)
    tiles = dataset.tiles[
        dataset.tiles["tile_id"].isin(frame["tile_id"]) & (dataset.tiles["status"] == TileStatus.USED)
    ]
    wave, width = (
        {
            tile: np.asarray(values)[bands].tolist()
            for tile, values in zip(tiles["tile_id"], tiles[name], strict=True)
        }
        for name in ("wavelength_nm", "fwhm_nm")
    )
    return Selection(frame, wave, width)


def _described(dataset: Dataset, found: pd.DataFrame) -> pd.DataFrame:
    """Return the patches with their locations and splits, in the order of the export."""
    locations = dataset.locations.set_index("location_id")
    names = found["location_id"]
    frame = found[["patch_id", "location_id", "tile_id", "datatake", "acquired"]].reset_index(drop=True)
    frame.insert(2, "split", _splits(dataset, found).to_numpy())
    frame["epsg"] = locations["epsg"].reindex(names).to_numpy(np.int64)
    places = (locations[name].reindex(names).to_numpy(np.int64) for name in ("lattice_row", "lattice_col"))
    frame["west"], frame["north"] = corner_of(*places)
    for kind in FRACTIONS:
        frame[f"{kind}_fraction"] = found[f"{kind}_fraction"].to_numpy(np.float64)
    frame["resampled"] = found["resampled"].to_numpy(bool)
    frame["store_row"] = found["store_row"].to_numpy(np.int64)
    unique = frame["location_id"].unique()
    order = pd.Series([_shuffled(name) for name in unique], unique)
    key = order.reindex(frame["location_id"]).to_numpy()
    return (
        frame.assign(_key=key)
        .sort_values(["split", "_key", "location_id", "acquired", "datatake"], kind="stable")
        .drop(columns="_key")
        .reset_index(drop=True)
    )


def _scalar(value: Any) -> Any:  # noqa: ANN401
    """Convert a table cell to plain Python; None for missing values."""
    if pd.isna(value):
        return None
    return value.item() if isinstance(value, np.generic) else value


def _shuffled(name: str) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=8).digest()


def _splits(dataset: Dataset, found: pd.DataFrame) -> pd.Series:
    """Return the split of each patch."""
    parts = select.parts(found, dataset.path)
    return pd.Series(ONLY_SPLIT, found.index) if parts is None else parts.replace("", NO_SPLIT)


def _check_names(frame: pd.DataFrame) -> None:
    """Check that names can be used as file names."""
    for column in ("patch_id", "location_id", "tile_id", "split"):
        bad = frame.loc[~frame[column].str.fullmatch(r"[\w-]+"), column]
        if len(bad):
            raise UsageError(
                f"The {column} {bad.iloc[0]!r} cannot be used as a file name.",
                remedy="Rename it in the dataset.",
            )
