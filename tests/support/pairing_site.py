"""A small dataset, rasters of random codes around it in several projections, and the truth computed pixel by pixel."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from pyproj import Transformer

from spectralearth_build import config as settings
from spectralearth_build.labels.define import Given, Request
from spectralearth_build.store.planned import load_plan
from tests.support.small_archive import CHOSEN, run_stages, write_tile

TWO_ROWS = {**CHOSEN, "store.shard_rows": 2}
CONFIG = settings.load(None, TWO_ROWS)
REPLACING = settings.load(None, {**TWO_ROWS, "plan.replace_versions": True})
SITE = 392
"""Width of tile 1, with room for three windows."""
CORINE = np.array([*range(1, 45)], np.uint8)
NODATA = 48


def write_raster(
    path: Path, epsg: int, pixel: float, codes: np.ndarray, seed: int, hole: float = 0.0, **profile: object
) -> Path:
    """Codes at random on 16 km around the site, a share of whole columns in the west without data."""
    centre = Transformer.from_crs(32633, epsg, always_xy=True).transform(471000, 5488000)
    degrees = 111_000 if epsg == 4326 else 1
    half = 8000 / degrees
    size = round(2 * half / (pixel / degrees))
    values = codes[np.random.default_rng(seed).integers(len(codes), size=(size, size))]
    if hole:
        values[:, : round(size * hole)] = NODATA if values.dtype.kind in "iu" else np.nan
    shape = {"width": size, "height": size, "count": 1, "dtype": values.dtype, "crs": f"EPSG:{epsg}"}
    place = Affine(pixel / degrees, 0, centre[0] - half, 0, -pixel / degrees, centre[1] + half)
    nodata = {"nodata": NODATA if values.dtype.kind in "iu" else np.nan}
    with rasterio.open(
        path, "w", "GTiff", transform=place, tiled=True, compress="deflate", **{**shape, **nodata, **profile}
    ) as file:
        file.write(values, 1)
    return path


def truth(path: Path, dataset: Path) -> dict[int, np.ndarray]:
    """Values of the raster's pixels that hold the centres of the patches' pixels, by store row."""
    planned = load_plan(dataset)
    windows = planned.locations.set_index("location_id")
    with rasterio.open(path) as file:
        values, place, crs, nodata = file.read(1), file.transform, file.crs, file.nodata
    found = {}
    for patch in planned.patches[planned.patches["status"] == "written"].itertuples():
        at = windows.loc[patch.location_id]
        x = 15 + 30 * (at["lattice_col"] + np.arange(128) + 0.5)
        y = 15 + 30 * (at["lattice_row"] - np.arange(128) - 0.5)
        x, y = Transformer.from_crs(int(at["epsg"]), crs, always_xy=True).transform(*np.meshgrid(x, y))
        col = np.floor((x - place.c) / place.a).astype(int)
        line = np.floor((y - place.f) / place.e).astype(int)
        inside = (line >= 0) & (col >= 0) & (line < values.shape[0]) & (col < values.shape[1])
        seen = values[np.where(inside, line, 0), np.where(inside, col, 0)]
        found[patch.store_row] = np.where(inside, seen, nodata)
    return found


def request(label: str, *rasters: Path | tuple[Path, int], **more: object) -> Request:
    """A label of rasters, with or without years."""
    given = (each if isinstance(each, tuple) else (each, 0) for each in rasters)
    how = {"nomenclature": "corine44", **more}
    return Request(label, tuple(Given(str(path), year) for path, year in given), **how)


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """Folder of the archive (tiles 1 to 3), the dataset ``d`` and ``corine.tif``; not to be written to."""
    folder = tmp_path_factory.mktemp("site")
    for number in (1, 2, 3):
        write_tile(folder / "archive", number, wide=SITE, years=number - 1)
    run_stages(folder / "archive", folder / "d", config=CONFIG)
    write_raster(folder / "corine.tif", 3035, 100, CORINE, seed=1)
    return folder


@pytest.fixture
def corine(site):
    """A raster of CORINE's codes."""
    return site / "corine.tif"


@pytest.fixture
def bare(site, tmp_path):
    """A copy of the dataset without labels."""
    return shutil.copytree(site / "d", tmp_path / "d")
