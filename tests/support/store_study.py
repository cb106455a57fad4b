"""A small archive of synthetic products with a plan made by hand: every kind of patch, a few of each.

In pixels relative to CORNER: A1 covers lines 0-150 and A2 lines 130-280 of the same datatake; A3, of that datatake
too, lies in zone 33 and reaches from column 260 eastward; B1 sees A1's and A2's ground at another date.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely

from spectralearth_build import mask as masks
from spectralearth_build.archive.bands import nominal
from spectralearth_build.archive.raster import open_raster
from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.config import Config, load
from spectralearth_build.cutting.cut import CutResult, cut
from spectralearth_build.layout import commit_name, shard_path
from spectralearth_build.overlap.geography import to_lonlat
from spectralearth_build.overlap.lattice import Box, window
from spectralearth_build.overlap.resample import source_grid, support
from spectralearth_build.synthetic.product import Layers, Layout, ProductSpec, write_product
from spectralearth_build.tables import LOCATIONS, OVERLAPS, PATCHES, TILES, TUPLES

ZONE = 32632
CORNER = (-166000, 24200)
"""Line and column of A1's first pixel: about 45 degrees north, near the zone's eastern edge."""
A, B = "DT0000000001", "DT0000000002"
A1, A2, A3, B1 = f"{A}_001", f"{A}_002", f"{A}_003", f"{B}_001"
PLAN_ID = "plan-made-by-hand"
DAY = datetime(2024, 7, 8, 10, 44, 7, 36933, tzinfo=UTC)


@dataclass(frozen=True)
class TileMade:
    """A product of the study."""

    spec: ProductSpec
    cube: np.ndarray
    """int16 [224, line, col]."""
    inside: np.ndarray
    """bool [line, col]."""
    band_index: np.ndarray

    @cached_property
    def kept(self) -> np.ndarray:
        """int16 [202, line, col], chosen by fancy indexing: the truth."""
        return self.cube[self.band_index]

    @property
    def row(self) -> dict[str, Any]:
        """Its row of tiles.parquet."""
        spec, bands = self.spec, nominal()
        west, south, east, north = spec.box.bounds
        return {
            "product_id": spec.product_id, "tile_id": spec.tile_id, "datatake": spec.datatake, "tile": spec.tile,
            "version": spec.version, "processed": spec.processed, "acquired": spec.started, "epsg": spec.epsg,
            "lattice_col": spec.box.col, "lattice_row": -spec.box.line, "height": spec.box.height,
            "width": spec.box.width, "path": spec.product_id, "status": "used", "reason": "", "error_class": "",
            "eligible": True, "fingerprint": f"f-{spec.tile_id}", "mask": f"work/masks/{spec.product_id}.mask",
            "band_index": self.band_index.tolist(), "wavelength_nm": (bands.wavelength_nm + 0.01 * spec.tile).tolist(),
            "fwhm_nm": bands.fwhm_nm.tolist(), "geometry": to_lonlat(shapely.box(west, south, east, north), spec.epsg),
        }  # fmt: skip


@dataclass(frozen=True)
class Study:
    """An archive, a dataset planned on it, and the truth."""

    archive: Path
    dataset: Path
    tiles: dict[str, TileMade]
    config: Config

    def run(self, **changes: Any) -> CutResult:
        """Cut (and publish)."""
        return cut(self.archive, self.dataset, changes.get("config", self.config), InlineExecutor())

    def copy(self, folder: Path, archive: bool = False) -> Study:
        """The same elsewhere, with an archive of its own (files are links: `replace_file` them) if asked for."""
        shutil.copytree(self.dataset, folder / "dataset")
        if archive:
            shutil.copytree(self.archive, folder / "archive", copy_function=os.link)
        own = folder / "archive" if archive else self.archive
        return replace(self, dataset=folder / "dataset", archive=own)

    def forget(self, *shards: int) -> None:
        """Make shards uncut again."""
        for shard in shards:
            (self.dataset / commit_name(shard)).unlink()
            shard_path(self.dataset, shard).unlink()

    def image(self, tile_id: str) -> Path:
        """A tile's spectral image."""
        return next((self.archive / self.tiles[tile_id].spec.product_id).glob("*SPECTRAL_IMAGE.TIF"))


def replace_file(path: Path, data: bytes) -> None:
    """Write a new file in the place of one that may be a link."""
    path.unlink()
    path.write_bytes(data)


def replace_pixels(path: Path, change: Callable[[np.ndarray], None]) -> None:
    """Write a raster anew, with other pixels."""
    with open_raster(path) as source:
        cube, profile = source.read(), source.profile
    change(cube)
    path.unlink()
    with rasterio.open(path, "w", **profile) as target:
        target.write(cube)


def _cube(number: int, height: int, width: int) -> np.ndarray:
    """Values that say where they come from and compress well."""
    band, line, col = np.ogrid[:224, :height, :width]
    return (number * 1000 + 3 * band + (line * 5 + col * 2) % 97 - 60).astype(np.int16)


def _tile(number: int, datatake: str, tile: int, epsg: int, box: Box) -> TileMade:
    started = DAY + timedelta(days=5 * (datatake == B), seconds=4 * tile)
    spec = ProductSpec(datatake=datatake, tile=tile, epsg=epsg, box=box, started=started)
    line, col = np.mgrid[: box.height, : box.width]
    inside = (col >= 3 - line // 8) & (line < box.height - 2)
    if number == 1:
        inside[140:146, 200:210] = False  # a hole that A2 fills
    dropped = np.isin(np.arange(224), np.arange(number, number + 22))
    cube = np.where(inside, _cube(number, box.height, box.width), np.int16(-32768))
    return TileMade(spec, cube, inside, np.roll(np.flatnonzero(~dropped), number).astype(np.int32))


def made_tiles() -> dict[str, TileMade]:
    line, col = CORNER
    away = support(*source_grid(Box(line, col + 260, 140, 276), ZONE, 32633)).grown(4)
    made = [
        _tile(1, A, 1, ZONE, Box(line, col, 150, 290)),
        _tile(2, A, 2, ZONE, Box(line + 130, col + 10, 150, 290)),
        _tile(3, A, 3, 32633, away),
        _tile(4, B, 1, ZONE, Box(line - 4, col - 6, 290, 300)),
    ]
    return {tile.spec.tile_id: tile for tile in made}


PLACES = {
    "plain": (4, 5),
    "beside": (4, 140),
    "straddling": (138, 150),
    "mixed": (2, 270),
    "across": (3, 400),
}
"""Anchors of the locations, relative to CORNER."""
ROWS: list[tuple[int, str, str, list[str]]] = [
    (0, "plain", A1, [A1]),
    (1, "beside", A1, [A1]),
    (2, "straddling", A2, [A1, A2]),
    (4, "mixed", A3, [A1, A3]),
    (5, "across", A3, [A3]),
    (6, "plain", B1, [B1]),
    (7, "beside", B1, [B1]),
    (8, "straddling", B1, [B1]),
]
"""Store row, place, tile and sources of each patch; two rows a shard, row 3 and 9 are padding."""


def window_of(place: str) -> Box:
    """The window of a location."""
    line, col = PLACES[place]
    return window(CORNER[0] + line, CORNER[1] + col)


def location_id(place: str) -> str:
    """The name of a location."""
    box = window_of(place)
    return f"{ZONE}_{box.col}_{-box.line}"


def made_locations() -> list[dict[str, Any]]:
    rows = []
    for place in PLACES:
        box = window_of(place)
        west, south, east, north = box.bounds
        rows.append(
            {
                "location_id": location_id(place), "epsg": ZONE, "lattice_col": box.col, "lattice_row": -box.line,
                "n": sum(place == row[1] for row in ROWS), "component": 0,
                "geometry": to_lonlat(shapely.box(west, south, east, north), ZONE),
            }
        )  # fmt: skip
    return rows


def made_patches(tiles: dict[str, TileMade]) -> list[dict[str, Any]]:
    return [
        {
            "patch_id": f"{location_id(place)}_{tile[:12]}", "location_id": location_id(place), "tile_id": tile,
            "sources": sources, "datatake": tile[:12], "acquired": tiles[tile].spec.started, "store_row": row,
            "shard": row // 2, "status": "planned", "reason": "", "resampled": A3 in sources,
            **{f"{name}_fraction": 0.0 for name in ("cloud", "shadow", "haze", "cirrus", "snow", "water")},
        }
        for row, place, tile, sources in ROWS
    ]  # fmt: skip


@pytest.fixture(scope="session")
def planned_study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Products written and planned, nothing cut. Shared: copy before you change it."""
    folder = tmp_path_factory.mktemp("study")
    archive, dataset = folder / "archive", folder / "dataset"
    tiles = made_tiles()
    for tile in tiles.values():
        shape = (tile.spec.box.height, tile.spec.box.width)
        write_product(
            archive, tile.spec, tile.cube, Layers.clear(shape, tile.inside), Layout(compress="none")
        )
        none, level = np.zeros(shape, bool), np.zeros(shape, np.uint8)
        mask = masks.encode(tile.inside, none, none, none, level, none, none)
        masks.save(dataset / tile.row["mask"], mask)
    bad = {
        "product_id": "X",
        "tile_id": "DT0000000009_001",
        "status": "quarantined",
        "error_class": "EmptyFileError",
    }
    TILES.write(TILES.frame([*(tile.row for tile in tiles.values()), {**bad, "eligible": False}]), dataset)
    OVERLAPS.write(OVERLAPS.frame([]), dataset)
    TUPLES.write(TUPLES.frame([]), dataset)
    LOCATIONS.write(LOCATIONS.frame(sorted(made_locations(), key=lambda row: row["location_id"])), dataset)
    PATCHES.write(PATCHES.frame(made_patches(tiles)), dataset)
    config = load(overrides={"store.shard_rows": 2})
    settings = {
        f"{s}.{k}": v for s in ("quality", "plan", "store") for k, v in config.model_dump()[s].items()
    }
    inputs, generations = {"settings": settings, "tiles": {}}, [{"id": PLAN_ID, "first_shard": 0}]
    plan = {"id": PLAN_ID, "inputs": inputs, "generations": generations, "counts": {}, "estimate": {}}
    (dataset / "plan.json").write_text(json.dumps(plan))
    return Study(archive, dataset, tiles, config)


@pytest.fixture(scope="session")
def finished_study(planned_study: Study, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The same, cut and published. Shared: copy before you change it."""
    study = planned_study.copy(tmp_path_factory.mktemp("finished"))
    study.run()
    return study


@pytest.fixture
def planned(planned_study: Study, tmp_path: Path) -> Study:
    """A planned dataset of one's own, on the shared archive."""
    return planned_study.copy(tmp_path)


@pytest.fixture
def finished(finished_study: Study, tmp_path: Path) -> Study:
    """A finished dataset of one's own, on the shared archive."""
    return finished_study.copy(tmp_path)


@pytest.fixture
def unpublished(planned_study: Study, finished_study: Study, tmp_path: Path) -> Study:
    """A dataset of one's own with all shards committed and nothing published."""
    study = planned_study.copy(tmp_path)
    for name in ("commits", "store.zarr/reflectance"):
        shutil.copytree(finished_study.dataset / name, study.dataset / name)
    (study.dataset / "store.zarr/reflectance/zarr.json").unlink()
    return study
