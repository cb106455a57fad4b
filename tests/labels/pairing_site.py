"""A small dataset, rasters of random codes around it in several projections, and the truth computed pixel by pixel."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from pyproj import Transformer

from spectralearth_build import config as settings
from spectralearth_build.cluster import Executor
from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.labels.define import Given, Request
from spectralearth_build.overlap.lattice import Box
from spectralearth_build.pipeline import Run
from spectralearth_build.progress import set_quiet
from spectralearth_build.store.planned import load_plan
from spectralearth_build.synthetic.product import write_product
from spectralearth_build.synthetic.spec import Layers, Layout, ProductSpec

SIZE = 132
BASE = ProductSpec(box=Box(-183000, 15600, SIZE, SIZE))
CHOSEN = {"store.shard_rows": 2, "run.scheduler": "inline", "run.check_space": False}
CONFIG = settings.load(None, CHOSEN)
REPLACING = settings.load(None, {**CHOSEN, "plan.replace_versions": True})
CORINE = np.array([*range(1, 45)], np.uint8)
NODATA = 48


def write_tile(archive: Path, number: int, years: int = 0, version: str = BASE.version) -> Path:
    """A product of its own datatake; tile 1 has room for three windows, the others for one each."""
    width = 392 if number == 1 else SIZE
    spec = replace(
        BASE,
        version=version,
        datatake=f"DT{number:010}",
        started=BASE.started + timedelta(days=number + 365 * years),
        box=Box(BASE.box.line + number % 3, BASE.box.col + number % 4, SIZE, width),
    )
    line, col = np.ogrid[:SIZE, :width]
    band = np.arange(224)[:, None, None]
    cube = (number * 500 + 3 * band + (line * 5 + col * 2) % 97).astype(np.int16)
    return write_product(archive, spec, cube, Layers.clear((SIZE, width)), Layout(compress="none"))


def build(archive: Path, dataset: Path, config: settings.Config = CONFIG) -> Path:
    """Scan, plan, cut and publish, in this process."""
    run = Run(dataset, config, InlineExecutor())
    set_quiet(True)
    run.scan(archive)
    run.plan()
    run.cut(archive)
    set_quiet(False)
    return dataset


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


def tree(dataset: Path) -> dict[str, str]:
    """SHA-256 of every file of a dataset by path, the work folder apart."""
    return {
        path.relative_to(dataset).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(dataset.rglob("*"))
        if path.is_file() and path.relative_to(dataset).parts[0] != "work"
    }


def inline() -> Executor:
    """This process."""
    return InlineExecutor()
