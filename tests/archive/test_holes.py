"""What was never written is found, and clipped sea, snow, shadow and night are not taken for it."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio import Affine

from spectralearth_build.archive.bands import nominal
from spectralearth_build.archive.holes import BRIGHT, LEAST, between
from spectralearth_build.archive.image_summary import inspect_image
from spectralearth_build.archive.raster import open_raster

NODATA = -32768
BANDS = 9
KEPT = np.arange(8, dtype=np.int32)
"""The last band is without data, as six or more are in real products."""
NEAR = np.stack([KEPT - 1, np.where(KEPT == 7, -1, KEPT + 1)], axis=1).astype(np.int32)
LAYOUTS = {
    "strips": {"interleave": "band", "blockysize": 3},
    "pixel strips": {"interleave": "pixel", "blockysize": 2},
    "tiles": {"interleave": "band", "tiled": True, "blockxsize": 64, "blockysize": 64},
    "pixel tiles": {"interleave": "pixel", "tiled": True, "blockxsize": 64, "blockysize": 64},
}


def swath(height, width):
    """A footprint that lies askew in its raster."""
    line, col = np.mgrid[:height, :width]
    slant = line * width // (6 * height)
    return (col >= width // 6 - slant) & (col < width - slant)


def land(inside, seed=0):
    """Bright ground, and -32768 beyond the swath and in the last band [band, line, col]."""
    random = np.random.default_rng(seed)
    cube = random.integers(600, 3000, (BANDS, *inside.shape)).astype(np.int16)
    cube[:, ~inside] = NODATA
    cube[-1] = NODATA
    return cube


def flood(cube, where, seed=0):
    """Clipped sea: blue and green above zero, the other bands 0 in 97 % of the pixels, as V0103 and later give it."""
    random = np.random.default_rng(seed)
    sea = random.integers(150, 600, cube.shape).astype(np.int16)
    sea[3:] = random.integers(1, 30, sea[3:].shape) * (random.random(sea[3:].shape) < 0.03)
    np.copyto(cube, sea, where=where & (cube != NODATA))
    return cube


def write(path, cube, layout, **profile):
    with rasterio.open(
        path, "w", driver="GTiff", dtype="int16", count=len(cube), height=cube.shape[1], width=cube.shape[2],
        transform=Affine(30, 0, 15, 0, -30, 15), **({"nodata": NODATA} | LAYOUTS.get(layout, {}) | profile),
    ) as target:  # fmt: skip
        target.write(cube)
    return path


def inspect(path, inside, near=NEAR, index=KEPT):
    with open_raster(path) as dataset:
        return inspect_image(dataset, index, inside, near)


BIG = {
    "strips": {"interleave": "band", "blockysize": 3, "compress": "deflate", "zlevel": 1},
    "tiles": {"interleave": "band", "tiled": True, "blockxsize": 512, "blockysize": 512},
    "pixel tiles": {"interleave": "pixel", "tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "zstd"},
    "pixel strips": {"interleave": "pixel", "blockysize": 1},
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("layout", BIG)
def test_a_coast_of_full_size_is_sound_with_all_its_land(tmp_path, layout):
    """Its lowest 300 lines are clipped sea, and one line of a block, and one line between two pieces of land."""
    inside = swath(1180, 1260)
    line = np.arange(1180)[:, None]
    cube = flood(land(inside), (line >= 880) | (line == 511) | (line == 700))
    facts = inspect(write(tmp_path / "a.TIF", cube, "", **BIG[layout]), inside)
    assert (facts.valid == inside).all()
    assert not facts.hole.any()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("clipped", [True, False])
def test_open_sea_is_sound(tmp_path, layout, clipped):
    """Nothing but sea: whole blocks of most bands are 0, or as often below 0 as above."""
    inside = swath(150, 200)
    cube = flood(land(inside), True)
    if clipped:
        cube[3:8][:, inside] = 0
    else:
        np.copyto(
            cube,
            np.random.default_rng(1).integers(-60, 60, cube.shape),
            where=cube != NODATA,
            casting="unsafe",
        )
    facts = inspect(write(tmp_path / "a.TIF", cube, layout), inside)
    assert (facts.valid == inside).all()
    assert not facts.hole.any()


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    layout=st.sampled_from(sorted(LAYOUTS)),
    page=st.integers(0, 10_000),
    pages=st.integers(1, 12),
    sea=st.booleans(),
    seed=st.integers(0, 3),
)
def test_whatever_zeroed_bytes_take_is_found(tmp_path_factory, layout, page, pages, sea, seed):
    """Pages of 4096 bytes of an uncompressed file are zeroed; what they change inside the swath is the truth."""
    inside = swath(160, 192)
    cube = land(inside, seed)
    if sea and "tiles" not in layout:
        flood(cube, np.arange(160)[:, None] >= 90, seed)
    path = write(tmp_path_factory.mktemp("hole") / "a.TIF", cube, layout)
    data = bytearray(path.read_bytes())
    with rasterio.open(path) as raster:
        first = int(raster.get_tag_item("BLOCK_OFFSET_0_0", "TIFF", bidx=1))
    start = -(-first // 4096) + page % (len(data) // 4096 - -(-first // 4096))
    start, stop = start * 4096, min(len(data), (start + pages) * 4096)
    data[start:stop] = bytes(stop - start)
    path.write_bytes(data)
    with rasterio.open(path) as raster:
        after = raster.read()
    taken = (after[KEPT] != cube[KEPT]).any(axis=0) & inside
    facts = inspect(path, inside)
    if (
        layout == "tiles"
    ):  # what lies within the swath is found if the band has two neighbours, and is wide enough
        known = np.add.reduceat(inside, np.arange(0, 192, 64), axis=1) >= LEAST
        taken = (after[1:7] != cube[1:7]).any(axis=0) & inside & np.repeat(known, 64, axis=1)
    assert not (taken & ~facts.hole).any()
    assert (facts.hole & (after[KEPT] != 0).all(axis=0)).sum() <= 6  # pixels at its ends
    assert (facts.valid == inside).all()


@pytest.mark.parametrize("layout", ["strips", "tiles"])
def test_a_zeroed_file_costs_what_was_lost_and_no_more(tmp_path, layout):
    """The second half of band 4 and the first of band 5: the lower and the upper lines of the tile."""
    inside = swath(160, 200)
    cube = land(inside)
    cube[4, 100:] = 0
    cube[5, :60] = 0
    hole = inspect(write(tmp_path / "a.TIF", cube, layout), inside).hole
    assert hole[100:][inside[100:]].all()
    assert hole[:60][inside[:60]].all()
    assert hole[60:100].sum() <= 8  # pixels at its ends


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_image_that_never_arrived(tmp_path, layout):
    inside = swath(100, 150)
    path = write(tmp_path / "a.TIF", np.zeros((BANDS, 100, 150), np.int16), layout)
    assert (inspect(path, inside).hole == inside).all()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_few_pixels_that_are_zero_in_all_bands(tmp_path, layout):
    inside = swath(100, 150)
    cube = flood(land(inside), True)
    cube[:, 40:43, 70:75] = 0
    hole = inspect(write(tmp_path / "a.TIF", cube, layout), inside).hole
    assert hole[40:43, 70:75].all()
    assert hole.sum() == 3 * 7  # with the pixels beside it, of which some bands may be lost


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("compress", ["deflate", "lzw", "zstd"])
def test_copies_of_a_damaged_file(tmp_path, layout, compress):
    """What lost its lines when it was raw keeps the hole, however it was stored since."""
    inside = swath(160, 200)
    cube = land(inside)
    cube[2, 70:110] = 0
    hole = inspect(write(tmp_path / "a.TIF", cube, layout, compress=compress), inside).hole
    assert hole[70:110][inside[70:110]].all()
    assert hole[:70].sum() + hole[110:].sum() <= 8


@pytest.mark.parametrize("layout", ["strips", "tiles", "pixel tiles"])
def test_blocks_that_the_file_lacks(tmp_path, layout):
    inside = swath(160, 200)
    cube = land(inside)
    cube[:, 64:96] = NODATA
    cube[2, 100:128, :64] = NODATA  # strips of it are there
    facts = inspect(write(tmp_path / "a.TIF", cube, layout, sparse_ok=True), inside)
    lost = np.zeros_like(inside)
    if layout == "strips":
        lost[66:96] = True
    assert (facts.hole == lost & inside).all()
    assert not facts.valid[64:96].any()
    again = cube.copy()
    again[:, 64:128, 64:128] = NODATA
    facts = inspect(write(tmp_path / "b.TIF", again, layout, sparse_ok=True), inside)
    if layout != "strips":
        lost[64:128, 64:128] = True
    assert (facts.hole == lost & inside).all()


@pytest.mark.parametrize("nodata", [NODATA, 0, None])
def test_background_of_zeros_proves_nothing(tmp_path, nodata):
    """METADATA.XML says that the background is 0; in a file in which that is true, sea is no hole."""
    inside = swath(100, 150)
    cube = flood(land(inside), np.arange(100)[:, None] > 40)
    cube[3:8, 60:] = np.where(inside[60:], 0, NODATA)
    one = cube.copy()
    one[5][~inside] = 0  # one band alone
    for number, values in enumerate((np.where(inside, cube, 0).astype(np.int16), one)):
        path = write(tmp_path / f"{number}.TIF", values, "strips", nodata=nodata)
        assert not inspect(path, inside).hole.any()


def test_classes_and_image_that_disagree_at_the_border(tmp_path):
    """The detectors see the ground twenty lines apart: clipped sea beyond the border of the classes is no hole."""
    inside = swath(600, 700)
    cube = flood(land(inside), True)
    cube[3:8] = np.where(cube[3:8] == NODATA, NODATA, 0)
    classes = inside & (np.arange(600) < 580)[:, None] & np.roll(inside, 20, 1)
    facts = inspect(write(tmp_path / "a.TIF", cube, "strips"), classes)
    assert not facts.hole.any()
    assert (facts.valid == classes).all()


def test_zeros_between_bright_bands(tmp_path):
    """Over snow and over bright water bands fall to 0 too, but not from bright to nothing and back at once."""
    inside = np.ones((100, 192), bool)
    spectrum = {
        "fallen": [900, 900, 900, 0, 0, 900, 900, 900],
        "slope": [900, 900, 900, 0, 0, 100, 900, 900],
        "tail": [900, 600, 300, 0, 0, 0, 0, 0],
        "head": [0, 0, 300, 900, 900, 900, 900, 900],
    }
    for name, values in spectrum.items():
        cube = np.broadcast_to(np.array([*values, NODATA])[:, None, None], (9, 100, 192)).astype(np.int16)
        hole = inspect(write(tmp_path / f"{name}.TIF", cube, "tiles"), inside).hole
        assert hole.all() == hole.any() == (name == "fallen")
    apart = NEAR.copy()
    apart[3, 0] = apart[2, 1] = -1  # band 3 lies behind the gap of the water vapour
    assert not inspect(tmp_path / "fallen.TIF", inside, apart).hole.any()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), gap=st.integers(0, 7))
def test_between_against_a_walk_along_the_spectrum(seed, gap):
    random = np.random.default_rng(seed)
    kind = random.integers(0, 3, (8, 3, 2))  # 0 dark, 1 zero, 2 bright
    near = NEAR.copy()
    if gap:
        near[gap, 0] = near[gap - 1, 1] = -1

    def lost(spectrum):
        for pieces in (spectrum[:gap], spectrum[gap:]):
            word = "".join(map(str, pieces))
            if any(f"2{'1' * n}2" in word for n in range(1, 8)):
                return True
        return False

    expected = [[lost(kind[:, line, segment]) for segment in range(2)] for line in range(3)]
    assert between(kind == 1, kind == 2, near).any(axis=0).tolist() == expected


def test_neighbours_in_the_spectrum():
    """The nearest of the same detector, where it ends the nearest of the other, and none beyond 15 nm."""
    table = nominal()

    def nearest(band, side, same):
        away = (table.wavelength_nm - table.wavelength_nm[band]) * (1 if side else -1)
        fits = [
            k
            for k in range(202)
            if 0 < away[k] < 15 and (not same or table.detector[k] == table.detector[band])
        ]
        return min(fits, key=lambda k: away[k], default=-1)

    for band in range(202):
        for side in (0, 1):
            found = nearest(band, side, True)
            assert table.near[band, side] == (found if found >= 0 else nearest(band, side, False))
    assert (table.near < 0).any(
        axis=1
    ).sum() == 6  # both ends of the spectrum, and both sides of its two gaps


def test_real_water_is_darker_than_what_counts_as_bright():
    """In real pixels of open sea the bands that exceed `BRIGHT` are never 0."""
    folder = Path(__file__).parents[1] / "data" / "hyspecnet_pair"
    for path in sorted(folder.rglob("*SPECTRAL_IMAGE.TIF")):
        with rasterio.open(path) as raster:
            cube = raster.read()
        bright = (cube >= BRIGHT).mean(axis=(1, 2)) > 0.5
        assert bright.any()
        assert (cube[bright] != 0).all()
