"""Validity and checksums, against plain numpy."""

from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio import Affine

from spectralearth_build.archive.image_summary import ImagePass, inspect_image
from spectralearth_build.archive.raster import RasterPart, open_raster
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


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    segment=st.sampled_from([17, 40, 64, 101]),
    gaps=st.booleans(),
    checksum=st.booleans(),
)
def test_evidence_is_what_numpy_finds(seed, segment, gaps, checksum):
    """Any swath, also with gaps and lines outside; parts in any order."""
    rng = np.random.default_rng(seed)
    bands, height, width = 4, 30, 101
    line, col = np.mgrid[:height, :width]
    inside = (col >= line + rng.integers(-20, 20)) & (col < 70 + line) & (line % 11 != 3)
    inside &= ~(gaps & (rng.random(inside.shape) < 0.2))
    cube = rng.choice(np.array([-32768, -7, 0, 0, 150, 199, 200, 3000], np.int16), (bands, height, width))
    cube[:, 5:9] = rng.choice(np.array([0, -32768, 1, 200], np.int16), (bands, 4, 1))
    looking = ImagePass(SimpleNamespace(block_shapes=[(3, segment)], height=height, width=width),
                        np.arange(bands, dtype=np.int32), inside, checksum)  # fmt: skip
    parts = [
        RasterPart(slice(b, b + 2), slice(r, r + 10), slice(c, min(width, c + segment)))
        for b in (0, 2) for r in (0, 10, 20) for c in range(0, width, segment)
    ]  # fmt: skip
    for k in rng.permutation(len(parts)):
        part = parts[k]
        looking.look(part, np.ascontiguousarray(cube[part.bands, part.rows, part.cols]))
    seen, missing = looking._seen, cube == -32768
    assert (looking._valid == inside & ~missing.any(axis=0)).all()
    assert (seen.lit == ~inside | (cube != 0).any(axis=0)).all()
    assert (
        seen.outside == np.stack([(each & ~inside).sum(axis=(1, 2)) for each in (missing, cube == 0)], 1)
    ).all()
    assert (seen.data == (inside & ~missing & (cube != 0)).any(axis=(1, 2))).all()
    edges = np.arange(0, width, segment)
    counts = [np.add.reduceat((inside & each).astype(int), edges, axis=2)
              for each in (cube == 0, ~missing & (cube != 0), cube >= 200)]  # fmt: skip
    assert (seen.zero == (counts[1] == 0) & (counts[0] >= 16)).all()
    assert (seen.bright == (2 * counts[2] > counts[0] + counts[1])).all()
    values = np.where(inside & ~missing, cube, 0).astype(np.int64)
    position = np.arange(1, inside.size + 1).reshape(inside.shape)
    sums = np.stack([values.sum(axis=(1, 2)), (values * position).sum(axis=(1, 2))], 1)
    assert (looking._sums == (sums if checksum else 0)).all()
