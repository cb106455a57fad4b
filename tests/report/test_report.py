import re

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from spectralearth_build.dataset.access import open_dataset
from spectralearth_build.errors import UsageError
from spectralearth_build.report import figures, pictures, svg, write_report
from spectralearth_build.report import key_figures as summary
from tests.support.handmade_dataset import HOSTILE, NOMINAL, PATCH_ROWS, PLACES
from tests.support.html_reader import Reader


@pytest.fixture(scope="module")
def page(handmade):
    return write_report(handmade.folder).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def read(page):
    return Reader(page)


@pytest.fixture(scope="module")
def words(read):
    return " ".join(" ".join(read.text).split())


def test_the_page_is_well_formed(page, read):
    assert page.startswith("<!doctype html>")
    assert not read.open
    assert read.tags.count("img") == 5 + 4  # samples, dates of the deepest location
    ids = [value for _, name, value in read.attributes if name == "id"]
    used = {value[1:] for _, name, value in read.attributes if name == "xlink:href" and value.startswith("#")}
    used |= {found for _, _, value in read.attributes for found in re.findall(r"url\(#(\w+)\)", value)}
    assert used <= set(ids)


def test_the_page_loads_nothing(page, read):
    assert "http:" not in page
    assert "https:" not in page
    assert not set(read.tags) & {"script", "link", "iframe", "object", "embed"}
    for _, name, value in read.attributes:
        if name in ("src", "href", "xlink:href", "action"):
            assert value.startswith(("data:image/png;base64,", "#"))
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)


def test_hostile_names_are_text(page, words):
    assert "<script" not in page
    assert '"onload' not in page
    assert "<b>broke" not in page
    assert HOSTILE.replace("\n", "\\n") in words
    assert "the tile <b>broke</b>" in words


@pytest.mark.slow
def test_the_same_dataset_gives_the_same_page(handmade, page):
    assert write_report(handmade.folder).read_bytes() == page.encode()


def test_key_figures(page, words):
    figures = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page))
    assert figures.pop("stored, 5.10 times less than raw") == "11.7 MB"
    assert figures == {
        "patches": "9", "locations": "5", "seen on two or more dates": "2", "dates at the deepest location": "4",
        "tiles used, of 15 found": "9", "datatakes": "4", "UTM zones": "4",
    }  # fmt: skip
    assert "2022-07-03 to 2024-07-20" in words


def test_every_problem_has_its_remedy(words):
    assert "BrokenRasterError · quarantined · 2" in words
    assert "Download the product again." in words
    assert "To use it, relax the `quality` settings" in words
    assert "A newer processing version" in words
    assert "1: the tile <b>broke</b>" in words


def test_an_unfinished_dataset_has_no_report(tmp_path):
    with pytest.raises(UsageError, match="unfinished"):
        write_report(tmp_path)


def test_statuses_add_up(handmade):
    tiles = open_dataset(handmade.folder).tiles
    counts = dict(summary.statuses(tiles))
    assert counts == {
        "used": 9,
        "unused": 1,
        "superseded": 1,
        "duplicate": 1,
        "rejected": 1,
        "quarantined": 2,
    }
    assert sum(counts.values()) == len(tiles)


def test_left_out_groups_hold_every_product_once(handmade):
    tiles = open_dataset(handmade.folder).tiles
    groups = summary.left_out(tiles)
    assert sum(group.count for group in groups) == (tiles["status"] != "used").sum()
    assert groups[0].title == "BrokenRasterError"
    assert groups[0].examples[1] == ("b/2", "why of b/2")


def test_band_sets_are_those_of_the_fixture(handmade):
    dataset = open_dataset(handmade.folder)
    sets = summary.band_sets(dataset.tiles[dataset.tiles["status"] == "used"], NOMINAL)
    found = [(one.tiles, round(one.largest_nm, 6), round(one.mean_nm, 6), f"{one.first:%Y}") for one in sets]
    assert found == [(5, 0.25, 0.25, "2024"), (2, 0.0, 0.0, "2022"), (2, 0.2, 0.2, "2023")]


def test_tuples_by_size():
    tuples = pd.DataFrame({"n": [1, 4, 4], "windows": [10, 2, 3], "area_km2": [1.0, 0.5, 0.25]})
    rows = summary.tuples_by_size(tuples, pd.DataFrame({"n": [1, 1, 2]}))
    assert [(r["n"], r["tuples"], r["windows"], r["area"], r["locations"]) for r in rows] == [
        (1, 1, 10, 1.0, 2), (2, 0, 0, 0.0, 1), (4, 2, 5, 0.75, 0),
    ]  # fmt: skip


def test_samples_come_from_all_components_and_the_clearest_dates(handmade):
    dataset = open_dataset(handmade.folder)
    names = list(PLACES)
    chosen = summary.samples(dataset.locations, dataset.patches, 4)
    assert {location for location, _ in chosen} == {names[0], names[2], names[3], names[4]}
    assert dict(chosen)[names[0]] == "DT0000000001"
    assert summary.deepest(dataset.patches) == names[0]


def test_stored_bytes_are_the_shards(handmade):
    shards = [p for p in (handmade.folder / "store.zarr/reflectance").iterdir() if p.name != "zarr.json"]
    written = sum(row[3] == "written" for row in PATCH_ROWS)
    assert summary.stored_bytes(handmade.folder / "store.zarr") == (
        sum(p.stat().st_size for p in shards),
        written,
    )


def test_flat():
    assert summary.flat({"a": {"b": 1, "c": [1, 2]}, "d": list(range(20))}) == [
        ("a.b", "1"), ("a.c", "1, 2"), ("d", "20 entries"),
    ]  # fmt: skip


def patch(values, wavelength):
    return xr.DataArray(
        values,
        {"wavelength_nm": ("band", wavelength)},
        ("band", "y", "x"),
        attrs={"scale": 1e-4, "nodata": -32768},
    )


def test_natural_colour_takes_the_nearest_bands():
    values = np.arange(5, dtype=np.int16)[:, None, None] * np.ones((5, 2, 3), np.int16) * 1000
    values[2, 0, 0] = -32768
    colours = pictures.natural_colour(patch(values, [455, 470, 548, 640, 900]))
    assert colours.shape == (2, 3, 3)
    np.testing.assert_allclose(colours[1, 1], [0.3, 0.2, 0.0])
    assert np.isnan(colours[0, 0, 1])


def test_png_decodes_to_the_stretched_picture():
    import base64
    import io

    from matplotlib.image import imread

    colours = np.random.default_rng(0).uniform(0, 0.4, (16, 16, 3))
    data = pictures.png(colours, 0.0, 0.4)
    pixels = imread(io.BytesIO(base64.b64decode(data.split(",")[1])))
    np.testing.assert_allclose(pixels[..., :3], (colours / 0.4) ** pictures.GAMMA, atol=0.003)


def test_a_constant_picture_does_no_harm():
    flat = np.full((4, 4, 3), 0.1)
    assert pictures.png(flat, *pictures.limits(flat)).startswith("data:image/png")


def test_one_stretch_for_a_series_lets_snow_go_white():
    rng = np.random.default_rng(0)
    dates = [rng.uniform(low, high, (8, 8, 3)) for low, high in ((0.0, 0.3), (0.02, 0.3), (0.6, 0.9))]
    black, white = pictures.common_limits(dates)
    assert 0 < black < 0.05
    assert 0.28 < white < 0.3


def test_spectrum_is_the_mean_of_the_pixels():
    values = np.random.default_rng(1).integers(-200, 5000, (4, 32, 32)).astype(np.int16)
    found = pictures.spectrum(patch(values, [1, 2, 3, 4]), "x")
    np.testing.assert_allclose(found.mean, values.reshape(4, -1).mean(axis=1) * 1e-4, rtol=1e-5)
    assert (found.low < found.mean).all()
    assert (found.mean < found.high).all()


def test_gaps_are_where_bands_are_missing():
    x, y = figures.with_gaps(np.array([1460.0, 1330, 1340, 1470]), np.array([3.0, 1, 2, 4]))
    np.testing.assert_array_equal(x, [1330, 1340, np.nan, 1460, 1470])
    np.testing.assert_array_equal(y, [1, 2, np.nan, 3, 4])
    assert np.isnan(figures.with_gaps(NOMINAL)[0]).sum() == 2


def test_charts_follow_the_theme_and_keep_no_names():
    figure, axes = svg.chart("<b>")
    axes.bar([1], [1], color=svg.ACCENT)
    svg.finish(axes, "x", "y")
    drawn = svg.inline(figure, 'a "label"')
    assert "var(--accent)" in drawn
    assert "var(--ink)" in drawn
    assert not any(colour in drawn for colour in svg._VARIABLES)
    assert "&lt;b&gt;" in drawn
    assert 'aria-label="a &quot;label&quot;"' in drawn
    assert "axes_1" not in drawn
    assert "font-family" not in drawn
