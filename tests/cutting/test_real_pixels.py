"""Patches of real pixels: two adjacent cuts of one real product, taken as two tiles of one datatake."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import tifffile

from spectralearth_build import mask as masks
from spectralearth_build.cutting.cut_tile import cut_tile
from spectralearth_build.cutting.task import TileTask
from spectralearth_build.layout import shard_path
from spectralearth_build.overlap.lattice import box_of_raster, window
from spectralearth_build.store.codec import encode_patch
from spectralearth_build.store.planned_patches import PlannedPatch
from spectralearth_build.store.planned_tiles import SourceTile
from spectralearth_build.store.shard import ShardReader

PAIR = Path(__file__).parents[1] / "data" / "hyspecnet_pair"
KEPT = np.array([b for b in range(224) if not (126 <= b <= 140 or 160 <= b <= 166)])
"""The 202-band rule for this product's band set: 1-based 127-141 and 161-167 are dropped."""


@pytest.fixture(scope="module")
def halves() -> list[Path]:
    return sorted(PAIR.glob("*/*SPECTRAL_IMAGE.TIF"))


@pytest.fixture(scope="module")
def mosaic(halves) -> np.ndarray:
    """Both cuts side by side, read by another library: int16 [224, 128, 256]."""
    bands = [tifffile.imread(path) for path in halves]
    cubes = [band if band.shape[0] == 224 else np.moveaxis(band, -1, 0) for band in bands]
    return np.concatenate(cubes, axis=2)


def source(dataset: Path, path: Path, number: int) -> SourceTile:
    with rasterio.open(path) as raster:
        box = box_of_raster(raster.transform.c, raster.transform.f, raster.res, raster.shape)
        epsg = raster.crs.to_epsg()
    name = f"DT0000004950_{number:03d}"
    everywhere, none = np.ones((128, 128), bool), np.zeros((128, 128), bool)
    mask = masks.encode(everywhere, none, none, none, none.astype(np.uint8), none, none)
    masks.save(dataset / f"{name}.mask", mask)
    return SourceTile(name, path.parent.name, f"{name}.mask", epsg, box, tuple(KEPT.tolist()))


@pytest.mark.slow
@pytest.mark.parametrize("codec", ["spectral", "fast", "portable"])
def test_patches_are_the_real_pixels(tmp_path, halves, mosaic, codec):
    tiles = [source(tmp_path, path, number) for number, path in enumerate(halves, start=1)]
    west, east = (tile.box for tile in tiles)
    assert (east.line, east.col) == (west.line, west.stop_col)
    sources = {tile.tile_id: tile for tile in tiles}
    names = tuple(sources)
    shifts = [0, 50, 128]
    patches = tuple(
        PlannedPatch(f"p{shift}", row, tiles[0].epsg, window(west.line, west.col + shift), names)
        for row, shift in enumerate(shifts)
    )
    task = TileTask({0: "plan"}, codec, 4, names[0], sources, {0: patches})
    assert cut_tile(PAIR, tmp_path, task).patches == 3
    reader = ShardReader(shard_path(tmp_path, 0), 4)
    for row, shift in enumerate(shifts):
        assert np.array_equal(reader.patch(row, codec), mosaic[KEPT][:, :, shift : shift + 128])


def test_real_water_is_halved(mosaic):
    size = len(encode_patch(np.ascontiguousarray(mosaic[KEPT][:, :, :128]), "spectral"))
    assert size < 202 * 128 * 128 * 2 / 2.3
