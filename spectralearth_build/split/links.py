"""Ties between patches: common locations, tiles, datatakes and components, and ground that is too close.

Each kind is a `Tie`: patches belong to things, and things may be related. The check looks for ties between parts; the
split avoids them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from spectralearth_build.errors import UsageError
from spectralearth_build.layout import PatchStatus
from spectralearth_build.overlap.graph import touching
from spectralearth_build.split.near import corners, near

Matrix = Any
"""A scipy sparse array of whole numbers."""
Codes = npt.NDArray[np.int64]
Counts = npt.NDArray[np.int64]

LIVE = (PatchStatus.WRITTEN, PatchStatus.PLANNED)
"""Statuses of patches that can be in a part: those of a finished dataset, or of a plan."""
LOCATION, TILE, DATATAKE, COMPONENT, BUFFER = "location", "tile", "datatake", "component", "buffer"
TOUCHING = "touching"
KINDS = (LOCATION, TILE, DATATAKE, COMPONENT, BUFFER)
"""Kinds of things that must not be in two parts, in the order of reports."""


@dataclass(frozen=True, eq=False)
class Tie:
    """One kind of thing that patches share."""

    members: Matrix
    """[patch, thing], 1 if the patch belongs to the thing."""
    related: Matrix | None = None
    """[thing, thing], 1 if two things count as the same, including the diagonal; None if things are not related."""

    def reached(self, weights: Counts) -> Counts:
        """For each patch, the sum of ``weights`` [patch, column] over all patches tied to it, including itself."""
        seen = self.members.T @ weights
        if self.related is not None:
            seen = self.related @ seen
        return np.asarray(self.members @ seen)


@dataclass(frozen=True, eq=False)
class Links:
    """Patches sorted by patch_id, and all ties between them."""

    patches: pd.DataFrame
    """Columns patch_id, location_id, tile_id, datatake and acquired."""
    lonlat: npt.NDArray[np.float64]
    """Centre of each patch's window, degrees [patch, 2]."""
    ties: dict[str, Tie]
    """Ties by kind; `TOUCHING` relates tiles with common ground, `COMPONENT` uses the numbers in the tables."""

    def __len__(self) -> int:
        return len(self.patches)

    def reach(self, chosen: npt.NDArray[np.bool_], kinds: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Which patches have a tie of these kinds to a chosen patch."""
        weights = chosen.astype(np.int64)[:, None]
        return np.asarray(np.any([self.ties[kind].reached(weights)[:, 0] > 0 for kind in kinds], axis=0))


def links_of(
    patches: pd.DataFrame, locations: gpd.GeoDataFrame, tiles: gpd.GeoDataFrame, buffer_km: float
) -> Links:
    """Find all ties between the live patches of a dataset.

    Args:
        patches: patches.parquet.
        locations: locations.parquet.
        tiles: tiles.parquet.
        buffer_km: ground closer than this is a tie.

    Raises:
        UsageError: there is no live patch, or the tables do not match.
    """
    live = patches[patches["status"].isin(LIVE)].sort_values("patch_id", ignore_index=True)
    if live.empty:
        raise UsageError("No patch is planned or written.", remedy="Run `plan` or `build` first.")
    sources = _sources(live)
    tile_names, tile_of = np.unique(sources["sources"].to_numpy(str), return_inverse=True)
    tile_members = incidence(sources["patch"].to_numpy(), tile_of, (len(live), len(tile_names)))
    names, place_of = np.unique(live["location_id"].to_numpy(str), return_inverse=True)
    places = locations.drop_duplicates("location_id").set_index("location_id").reindex(names)
    if places["epsg"].isna().any():
        raise UsageError(f"No location {names[places['epsg'].isna()][0]} in locations.parquet.")
    outlines = corners(places)
    at_place = incidence(np.arange(len(live)), place_of, (len(live), len(names)))
    ties = {
        LOCATION: Tie(at_place),
        TILE: Tie(tile_members),
        DATATAKE: one_each(live["datatake"].to_numpy(str)),
        COMPONENT: one_each(places["component"].to_numpy()[place_of]),
        TOUCHING: Tie(tile_members, _touching(tiles, tile_names)),
        BUFFER: Tie(at_place, related(near(outlines, 1000 * buffer_km), len(names))),
    }
    columns = ["patch_id", "location_id", "tile_id", "datatake", "acquired"]
    return Links(live[columns], middles(outlines)[place_of], ties)


def middles(outlines: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The centre [window, 2] of corners [window, corner, 2] in degrees, also across the antimeridian."""
    first = outlines[:, :1]
    turned = np.stack(
        [(outlines[..., 0] - first[..., 0] + 180) % 360 - 180 + first[..., 0], outlines[..., 1]], -1
    )
    middle = turned.mean(axis=1)
    return np.stack([(middle[:, 0] + 180) % 360 - 180, middle[:, 1]], axis=1)


def incidence(rows: Codes, columns: Codes, shape: tuple[int, int]) -> Matrix:
    """A sparse matrix with 1 at the given positions, even if a position is given several times."""
    made = sparse.csr_array((np.ones(len(rows), np.int64), (rows, columns)), shape)
    made.sum_duplicates()
    made.data[:] = 1
    return made


def one_each(values: npt.NDArray[Any]) -> Tie:
    """A tie of patches with equal values; one value per patch."""
    found, codes = np.unique(values, return_inverse=True)
    return Tie(incidence(np.arange(len(values)), codes, (len(values), len(found))))


def related(pairs: Codes, count: int) -> Matrix:
    """A symmetric relation of pairs [n, 2] of ``count`` things, including the diagonal."""
    self_ = np.arange(count)
    rows = np.concatenate([pairs[:, 0], pairs[:, 1], self_])
    columns = np.concatenate([pairs[:, 1], pairs[:, 0], self_])
    return incidence(rows, columns, (count, count))


def _sources(live: pd.DataFrame) -> pd.DataFrame:
    """Patch (row) and tile (``sources``) for every tile that provides pixels, including the patch's own tile."""
    given = pd.DataFrame({"patch": np.arange(len(live)), "sources": live["sources"]}).explode("sources")
    own = pd.DataFrame({"patch": np.arange(len(live)), "sources": live["tile_id"]})
    return pd.concat([given.dropna(), own], ignore_index=True).drop_duplicates(ignore_index=True)


def _touching(tiles: gpd.GeoDataFrame, names: npt.NDArray[np.str_]) -> Matrix:
    """Which of the named tiles touch; a tile may have several footprints, one per version."""
    known = tiles[tiles["tile_id"].isin(names) & tiles["eligible"].eq(True) & tiles.geometry.notna()]
    missing = sorted(set(names.tolist()) - set(known["tile_id"]))
    if missing:
        raise UsageError(f"No footprint of tile {missing[0]} in tiles.parquet.")
    owner = np.searchsorted(names, known["tile_id"].to_numpy(str))
    return related(owner[touching(known.geometry.to_numpy())], len(names))
