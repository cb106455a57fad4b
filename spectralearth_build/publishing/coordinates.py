"""The coordinate arrays of a store, computed from the tables."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from spectralearth_build.archive.bands import nominal
from spectralearth_build.layout import PatchStatus
from spectralearth_build.overlap.lattice import corner_of
from spectralearth_build.store import schema
from spectralearth_build.store.planned import Planned


def coordinates_of(planned: Planned, patches: pd.DataFrame) -> dict[str, schema.Coordinate]:
    """Return all coordinate arrays by name. Tiles and rows are those of written patches.

    Args:
        planned: the plan.
        patches: patches.parquet with its final status.
    """
    written = patches[patches["status"] == PatchStatus.WRITTEN]
    tile_ids = sorted(written["tile_id"].unique())
    tiles = planned.eligible.loc[tile_ids]
    bands = nominal()
    return {
        **schema.band_coordinates(bands.wavelength_nm, bands.fwhm_nm),
        **schema.tile_coordinates(tile_ids, _matrix(tiles["wavelength_nm"]), _matrix(tiles["fwhm_nm"])),
        **_row_coordinates(planned, written, tile_ids),
    }


def _row_coordinates(
    planned: Planned, written: pd.DataFrame, tile_ids: list[str]
) -> dict[str, schema.Coordinate]:
    rows = written["store_row"].to_numpy()
    windows = planned.locations.set_index("location_id").loc[written["location_id"]]
    west, north = corner_of(*(windows[name].astype(float) for name in ("lattice_row", "lattice_col")))
    coordinates = schema.row_coordinates(planned.shards * planned.shard_rows)
    places = {tile_id: place for place, tile_id in enumerate(tile_ids)}
    for name, values in {
        "epsg": windows["epsg"],
        "west": west,
        "north": north,
        "acquired": written["acquired"].dt.tz_localize(None).astype("datetime64[us]").astype(np.int64),
        "location": written["location_id"].astype(object),
        "tile_index": written["tile_id"].map(places),
    }.items():
        coordinates[name].values[rows] = values.to_numpy()
    return coordinates


def _matrix(lists: pd.Series) -> npt.NDArray[np.float64]:
    return np.array([list(values) for values in lists], np.float64)
