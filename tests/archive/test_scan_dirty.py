"""Every way in which archives were seen to be dirty: its class, its message, and nothing else suffers."""

import os
from datetime import timedelta

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from pyproj import Transformer

from spectralearth_build import errors
from spectralearth_build.archive.scan import scan
from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.config import Config
from spectralearth_build.overlap.lattice import Box
from spectralearth_build.synthetic.dirty import CASES
from spectralearth_build.synthetic.product import Layers, ProductSpec, write_product

pytestmark = pytest.mark.slow

SHAPE = (132, 130)


def spec_of(number: int, site: tuple[float, float] | None) -> ProductSpec:
    lon, lat = site or (14.5, 57.0)
    epsg = 32600 + min(60, int((lon + 180) // 6) + 1)
    x, y = Transformer.from_crs(4326, epsg, always_xy=True).transform(lon, lat)
    box = Box(round((15 - y) / 30) - SHAPE[0] // 2, round((x - 15) / 30) - SHAPE[1] // 2, *SHAPE)
    started = ProductSpec().started + timedelta(days=number)
    return ProductSpec(f"DT{number:010d}", started=started, epsg=epsg, box=box)


def write(archive, spec):
    rng = np.random.default_rng(int(spec.datatake[2:]))
    col = np.broadcast_to(np.arange(SHAPE[1]), SHAPE)
    inside = (col > 10) & (col < 120)
    cube = rng.integers(20, 3000, (224, *SHAPE)).astype(np.int16)
    cube[:, ~inside] = -32768
    return write_product(archive, spec, cube, Layers.clear(SHAPE, inside))


def scanned(folder) -> gpd.GeoDataFrame:
    config = Config(scan={"validity": "all-bands"})
    return scan(folder / "archive", folder / "dataset", config, InlineExecutor())


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """Two sound products, scanned without any other."""
    folder = tmp_path_factory.mktemp("clean")
    for number in (1, 2):
        write(folder / "archive", spec_of(number, None))
    return folder, scanned(folder)


@pytest.fixture(scope="module")
def dirty(tmp_path_factory):
    """The same two among one product of every dirty case; and where each case's product ended."""
    folder = tmp_path_factory.mktemp("dirty")
    for number in (1, 2):
        write(folder / "archive", spec_of(number, None))
    places = {}
    for number, case in enumerate(CASES.values(), 10):
        spec = spec_of(number, case.site)
        place = case.apply(write(folder / "archive" / case.name, spec), spec)
        places[case.name] = place.relative_to(folder / "archive")
    return folder, scanned(folder), places


@pytest.mark.parametrize("name", CASES)
def test_class_and_message(dirty, name):
    folder, frame, places = dirty
    case = CASES[name]
    if name == "unreadable" and os.access(next((folder / "archive" / places[name]).glob("*IMAGE*")), os.R_OK):
        pytest.skip("the superuser reads everything")
    rows = frame[frame["path"].str.startswith(f"{name}/")]
    assert len(rows) == 1
    row = rows.iloc[0]
    if case.error in ("", "PoorQualityError"):  # the latter is for the plan to say
        assert (row["status"], row["error_class"], row["eligible"]) == ("unused", "", True)
        assert (row["hole_fraction"] > 0) == case.hole
        if not case.hole:
            assert row["valid_fraction"] == pytest.approx(109 / 130)
        else:
            assert 0.4 < row["valid_fraction"] / (109 / 130) < 0.6
        return
    kind = getattr(errors, case.error)
    assert (row["error_class"], row["status"], row["eligible"]) == (case.error, kind.status, False)
    assert row["mask"] == ""
    assert errors.printable(places[name]) in row["reason"]
    assert "\n" not in row["reason"]
    assert str(folder) not in row["reason"]
    assert row["reason"].endswith(
        (
            kind.remedy,
            "=hole.",
            "=size.",
            "=corners.",
            "Order the product as GeoTIFF.",
            "Put its target here instead.",
            "--set scan.correction=water with a new dataset folder.",
            "=correction.",
            "not a reprojected copy.",
        )
    )


def test_a_stale_footprint_or_sidecar_moves_nothing(dirty):
    _, frame, _ = dirty
    rows = frame.set_index(frame["path"].str.partition("/")[0])
    for number, name in enumerate(CASES, 10):
        if name in ("sidecar", "bow_tie", "no_nodata_tag", "nodata_zero", "by_detector"):
            box = spec_of(number, None).box
            assert rows.loc[name, ["lattice_col", "lattice_row"]].tolist() == [box.col, -box.line]


def test_across_the_antimeridian(dirty):
    row = dirty[1].set_index(dirty[1]["path"].str.partition("/")[0]).loc["antimeridian"]
    assert row["geometry"].geom_type == "MultiPolygon"
    assert max(part.bounds[2] - part.bounds[0] for part in row["geometry"].geoms) < 0.1


def test_the_others_are_as_if_alone(clean, dirty):
    alone, among = clean[1], dirty[1]
    among = among[among["tile_id"].isin(alone["tile_id"])].reset_index(drop=True)
    assert len(among) == 2
    pd.testing.assert_frame_equal(
        among, alone, check_dtype=False
    )  # numbers are floats where others are absent
    for path in alone["mask"]:
        assert (clean[0] / "dataset" / path).read_bytes() == (dirty[0] / "dataset" / path).read_bytes()


def test_every_product_has_one_row(dirty):
    _, frame, places = dirty
    assert len(frame) == len(places) + 2
    assert frame["path"].is_unique
    assert set(frame["status"]) == {"unused", "quarantined", "rejected"}
