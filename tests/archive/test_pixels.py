"""Validity and checksums, against plain numpy."""

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio import Affine

from spectralearth_build.archive.image_summary import inspect_image
from spectralearth_build.archive.raster import open_raster
from spectralearth_build.errors import NoValidPixelError

LAYOUTS = {
    "strips": {"interleave": "band", "compress": "deflate", "blockysize": 3},
    "raw strips": {"interleave": "band", "blockysize": 40},
    "pixel strips": {"interleave": "pixel", "compress": "lzw", "blockysize": 2},
    "tiles": {"interleave": "band", "tiled": True, "blockxsize": 64, "blockysize": 32},
    "pixel tiles": {"interleave": "pixel", "tiled": True, "blockxsize": 64, "blockysize": 64},
}
KEPT = np.array([4, 0, 2, 1], np.int32)
ALONE = np.full((4, 2), -1, np.int32)


def scene(seed=0, height=90, width=200):
    """A cube of five bands with negatives and zeros, and a slanted swath."""
    rng = np.random.default_rng(seed)
    cube = rng.integers(-60, 60, (5, height, width)).astype(np.int16)
    line, col = np.mgrid[:height, :width]
    inside = (col > 20 + line // 4) & (col < 160 + line // 4)
    cube[:, ~inside] = -32768
    return cube, inside


def inspect(path, cube, inside, layout, **profile):
    options = LAYOUTS[layout] | {"nodata": -32768} | profile
    with rasterio.open(
        path, "w", driver="GTiff", dtype="int16", count=len(cube), height=cube.shape[1], width=cube.shape[2],
        transform=Affine(30, 0, 15, 0, -30, 15), **options,
    ) as target:  # fmt: skip
        for band, values in enumerate(cube, 1):
            if values is not None:
                target.write(values, band)
    with open_raster(path) as dataset:
        return inspect_image(dataset, KEPT, inside, ALONE)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_valid_is_data_in_every_kept_band(tmp_path, layout):
    cube, inside = scene()
    cube[2, 10:30, 90:120] = -32768  # a kept band
    cube[3, 40:60, 90:120] = -32768  # one that is not
    facts = inspect(tmp_path / "a.TIF", cube, inside, layout)
    assert (facts.valid == (inside & (cube[KEPT] != -32768).all(axis=0))).all()
    assert facts.valid.any()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), layout=st.sampled_from(sorted(LAYOUTS)))
def test_sums_depend_on_pixels_only(tmp_path_factory, seed, layout):
    cube, inside = scene(seed)
    folder = tmp_path_factory.mktemp("sums")
    facts = inspect(folder / "a.TIF", cube, inside, layout, nodata=0 if seed % 2 else -32768)
    values = np.where(inside & (cube[KEPT] != -32768), cube[KEPT], 0).astype(np.int64)
    position = np.arange(1, inside.size + 1).reshape(inside.shape)
    assert facts.sums[:, 0].tolist() == values.sum(axis=(1, 2)).tolist()
    assert facts.sums[:, 1].tolist() == (values * position).sum(axis=(1, 2)).tolist()


def test_swapped_pixels_change_the_sums(tmp_path):
    cube, inside = scene()
    before = inspect(tmp_path / "a.TIF", cube, inside, "strips").sums
    cube[0, 50, [80, 81]] = cube[0, 50, [81, 80]] + np.int16([0, 0])
    assert cube[0, 50, 80] != cube[0, 50, 81]
    assert (inspect(tmp_path / "b.TIF", cube, inside, "strips").sums != before).any()


def test_a_kept_band_without_data(tmp_path):
    cube, inside = scene()
    cube[1] = -32768
    with pytest.raises(NoValidPixelError, match=r"Kept bands without any data: 2\."):
        inspect(tmp_path / "a.TIF", cube, inside, "strips")


def test_data_in_every_band_but_never_together(tmp_path):
    cube, inside = scene()
    cube[0, :, :100], cube[1, :, 100:] = -32768, -32768
    with pytest.raises(NoValidPixelError, match="No pixel has data in every kept band"):
        inspect(tmp_path / "a.TIF", cube, inside, "pixel strips")
