from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectralearth_build.cutting.compose import TilePixels, compose
from spectralearth_build.cutting.sources import area_needed, needed
from spectralearth_build.cutting.task import task_of
from spectralearth_build.errors import BrokenRasterError
from spectralearth_build.overlap.lattice import Box, window
from spectralearth_build.store.planned import load_plan
from spectralearth_build.store.planned_patches import PlannedPatch
from spectralearth_build.store.planned_tiles import SourceTile
from spectralearth_build.texts import counted
from tests.support.store_study import A1, A3, ZONE, window_of

WINDOW = window(1000, 2000)
OFFSETS = st.integers(-140, 140)


def pixels(line: int, col: int, value: int, holes: int = 0) -> TilePixels:
    """A tile of 150 x 170 whose values say band and place, with some invalid pixels."""
    box = Box(1000 + line, 2000 + col, 150, 170)
    band, i, j = np.ogrid[:202, :150, :170]
    valid = np.random.default_rng(value).random((150, 170)) >= holes / 10
    values = (value + band + (i + j) % 7).astype(np.int16)
    return TilePixels(ZONE, box, np.where(valid, values, np.int16(-32768)), valid)


def truth(tiles: list[TilePixels]) -> np.ndarray:
    """Pixel by pixel, by the definition."""
    out = np.full((202, 128, 128), -32768, np.int16)
    for i in range(128):
        for j in range(128):
            for tile in tiles:
                line, col = WINDOW.line + i - tile.box.line, WINDOW.col + j - tile.box.col
                if 0 <= line < 150 and 0 <= col < 170 and tile.valid[line, col]:
                    out[:, i, j] = tile.values[:, line, col]
                    break
    return out


@pytest.mark.slow
@settings(max_examples=8, deadline=None)
@given(st.lists(st.tuples(OFFSETS, OFFSETS, st.integers(0, 3)), min_size=1, max_size=3))
def test_each_pixel_is_of_the_first_tile_that_is_valid_there(places):
    tiles = {f"t{n}": pixels(line, col, 1000 * n, holes) for n, (line, col, holes) in enumerate(places)}
    patch = PlannedPatch("p", 0, ZONE, WINDOW, tuple(tiles))
    expected = truth(list(tiles.values()))
    found, reason = compose(patch, tiles.__getitem__)
    missing = int((expected[0] == -32768).sum())
    assert reason == (f"{counted(missing, 'pixel has', 'pixels have')} no data any more" if missing else "")
    assert np.array_equal(found, expected)


def test_what_the_memory_held_before_does_not_count():
    tiles = {"t0": pixels(-5, -5, 0, 3), "t1": pixels(-9, -20, 1000)}
    memory = np.full((202, 128, 128), 7, np.int16)
    for names in (("t0",), ("t0", "t1"), ("t1",)):  # the first one leaves gaps
        patch = PlannedPatch("p", 0, ZONE, WINDOW, names)
        found, reason = compose(patch, tiles.__getitem__, memory)
        expected, same = compose(patch, tiles.__getitem__)
        assert found is memory
        assert reason == same
        assert np.array_equal(found, expected)
        assert bool(reason) == (names == ("t0",))


def test_a_source_that_cannot_be_read():
    def broken(name: str) -> TilePixels:
        raise BrokenRasterError("broken", name)

    _, reason = compose(PlannedPatch("p", 0, ZONE, WINDOW, ("t0",)), broken)
    assert reason == "t0 cannot be read: BrokenRasterError"


def test_valid_pixels_without_data_in_a_band():
    tile = pixels(-5, -5, 0)
    tile.values[201, 60, 60] = -32768
    _, reason = compose(PlannedPatch("p", 0, ZONE, WINDOW, ("t",)), lambda name: tile)
    assert reason == "pixels that scan found valid have no data in some bands"


@pytest.mark.parametrize(
    ("line", "expected"), [(-5, Box(1000, 2000, 128, 128)), (100, Box(1100, 2000, 28, 128))]
)
def test_needed_on_the_same_lattice(line, expected):
    source = SourceTile("t", "", "", ZONE, Box(1000 + line, 1990, 150, 170), ())
    assert needed(PlannedPatch("p", 0, ZONE, WINDOW, ("t",)), source) == expected


def test_needed_nothing():
    source = SourceTile("t", "", "", ZONE, Box(0, 0, 150, 170), ())
    patch = PlannedPatch("p", 0, ZONE, WINDOW, ("t",))
    assert needed(patch, source) is None
    assert area_needed([patch], source) is None


def test_the_area_needed_holds_all_that_is_needed_and_no_more(planned_study):
    task = task_of(load_plan(planned_study.dataset), A3, [2])
    native, away = task.sources[A1], task.sources[A3]
    mixed, across = task.shards[2]
    assert area_needed([mixed, across], native) == needed(mixed, native)
    both = area_needed([mixed, across], away)
    each = [needed(patch, away) for patch in (mixed, across)]
    assert (both.line, both.col) == (min(box.line for box in each), min(box.col for box in each))
    assert both.stop_line == max(box.stop_line for box in each)
    assert both.stop_col == max(box.stop_col for box in each)


def test_reading_more_changes_nothing(planned_study):
    """A resampled patch is the same whether its source was read whole or only where needed."""
    study = planned_study
    tile = study.tiles[A3]
    whole = TilePixels(32633, tile.spec.box, tile.kept, tile.inside)
    patch = PlannedPatch("p", 0, ZONE, window_of("across"), (A3,))
    source = task_of(load_plan(study.dataset), A3, [2]).sources[A3]
    box = area_needed([patch], source)
    where = box.slices(tile.spec.box)
    part = TilePixels(32633, box, tile.kept[:, *where], tile.inside[where])
    assert part.box.height < whole.box.height
    first, second = compose(patch, lambda name: whole), compose(patch, lambda name: part)
    assert (first[1], second[1]) == ("", "")
    assert np.array_equal(first[0], second[0])
