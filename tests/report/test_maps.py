import matplotlib.image
import numpy as np
import pytest
import shapely
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from spectralearth_build.dataset.access import open_dataset
from spectralearth_build.report import maps
from spectralearth_build.report.regions import middles
from spectralearth_build.tables import LOCATIONS, TILES


@pytest.fixture(scope="module")
def frames(handmade):
    dataset = open_dataset(handmade.folder)
    return dataset.tiles, dataset.locations


def spread(count):
    """One footprint with one window in each of many regions."""
    squares = [shapely.box(-150 + 20 * k, -20, -149.6 + 20 * k, -19.7) for k in range(count)]
    tiles = TILES.frame([{"geometry": square} for square in squares])
    return tiles, LOCATIONS.frame([{"n": 1 + k, "geometry": s.buffer(-0.1)} for k, s in enumerate(squares)])


@pytest.mark.slow
def test_the_map_is_a_picture_and_the_same_each_time(frames, tmp_path):
    first, second = maps.plan_map(*frames, tmp_path / "a.png"), maps.plan_map(*frames, tmp_path / "b.png")
    assert first.read_bytes() == second.read_bytes()
    pixels = matplotlib.image.imread(first)
    assert pixels.shape[1] == 1650
    assert np.ptp(pixels[..., :3]) > 0.8
    assert b"tEXt" not in first.read_bytes()


@pytest.mark.slow
def test_the_title_counts_windows_not_their_halves(frames, tmp_path, monkeypatch):
    titles = []
    monkeypatch.setattr(Figure, "suptitle", lambda _, text, **__: titles.append(text))
    maps.plan_map(*frames, tmp_path / "a.png")
    assert titles == ["5 windows, 10 footprints"]


def test_a_plan_without_anything_has_a_map(tmp_path):
    assert maps.plan_map(TILES.frame([]), LOCATIONS.frame([]), tmp_path / "a.png").stat().st_size > 1000


def test_windows_have_the_colour_of_their_depth(frames, tmp_path):
    ground = maps.survey(*frames)
    first = next(r for r in ground.regions if 45 < r.center[1] < 48)
    axes = Figure().add_subplot()
    maps.draw_region(axes, ground, first, maps.Theme())
    windows = [c for c in axes.collections if isinstance(c, PolyCollection)][-1]
    depth = ground.windows.within(first).depth
    assert sorted(depth.tolist()) == [2, 4]
    np.testing.assert_allclose(windows.get_facecolor(), maps.depth_colours()((depth - 1) / 3))


def test_what_crosses_the_antimeridian_is_drawn_in_one_place(frames):
    ground = maps.survey(*frames)
    (edge,) = [region for region in ground.regions if abs(region.center[0]) > 170]
    assert edge.east - edge.west < 0.3
    axes = Figure().add_subplot()
    maps.draw_region(axes, ground, edge, maps.Theme())
    west, east = axes.get_xlim()
    assert east - west < 0.5
    corners = np.concatenate([path.vertices for c in axes.collections for path in c.get_paths()])
    assert ((corners[:, 0] > west) & (corners[:, 0] < east)).all()
    assert len(ground.windows.within(edge).parts) == 2  # both halves of the one window


@pytest.mark.slow
@pytest.mark.parametrize("rows", [1, 2, 100])
def test_a_table_in_parts_gives_the_same_map(frames, rows, tmp_path):
    """Some parts have windows that the antimeridian divides, others only plain boxes."""
    tiles, locations = frames
    table = LOCATIONS.arrow(locations).select(["n", "geometry"])
    assert {len(wkb.as_py()) == 93 for wkb in table["geometry"]} == {True, False}

    def parts():
        return (table.slice(start, rows) for start in range(0, len(table), rows))

    whole, parted = maps.survey(tiles, locations), maps.survey(tiles, parts)
    assert (parted.regions, parted.others, parted.count) == (whole.regions, whole.others, whole.count)
    assert parted.count == len(locations)
    assert shapely.equals_exact(parted.windows.parts, whole.windows.parts).all()
    assert parted.windows.depth.tolist() == whole.windows.depth.tolist()
    a = maps.plan_map(tiles, locations, tmp_path / "a.png").read_bytes()
    assert a == maps.plan_map(tiles, parts, tmp_path / "b.png").read_bytes()


def test_regions_beyond_the_panels_are_counted():
    ground = maps.survey(*spread(9))
    assert (len(ground.regions), ground.others) == (6, 3)
    assert ground.norm.vmax == 9


def test_regions_with_most_windows_come_first(frames):
    ground = maps.survey(*frames)
    held = [len(ground.windows.within(region).parts) for region in ground.regions]
    assert held == [2, 2, 1, 1]  # one of the first two has one window in two halves
    assert maps._held(list(ground.regions), middles(ground.windows.parts)).tolist() == held


@pytest.mark.slow
def test_tiles_without_a_shape_do_no_harm(frames, tmp_path):
    tiles, locations = frames
    assert tiles.geometry.isna().any()
    sound = tiles[~tiles.geometry.isna()]
    a = maps.plan_map(tiles, locations, tmp_path / "a.png").read_bytes()
    assert a == maps.plan_map(sound, locations, tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize(
    ("value", "letters", "text"),
    [(11.5, "EW", "11.5°E"), (-3, "EW", "3°W"), (180, "EW", "180°"), (190, "EW", "170°W"), (-17.25, "NS", "17.25°S"),
     (0, "NS", "0°"), (540, "EW", "180°")],
)  # fmt: skip
def test_ticks(value, letters, text):
    assert maps.degrees(value, letters) == text
