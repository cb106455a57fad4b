"""What the values of products are: land or water, said, assumed or unknown; and numbers that are unknown."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio

from spectralearth_build import mask
from spectralearth_build.archive import inspect
from spectralearth_build.archive.correction import correction_of
from spectralearth_build.archive.scan import scan
from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.config import Config, QualityConfig
from spectralearth_build.errors import UnknownCorrectionError
from spectralearth_build.plan.candidates import reject_poor
from spectralearth_build.synthetic.spoil_metadata import set_text

NEWER = {"version": "V010503", "processed": datetime(2024, 9, 1, tzinfo=UTC)}
OLDER = {"version": "V010401", "processed": datetime(2024, 7, 8, tzinfo=UTC)}
WATER = {"correction": "Water_Mode", "water_type": "Clear"}


@pytest.fixture
def scanned(tmp_path):
    """Scans the archive beside the test's dataset, with settings of `scan`."""

    def run(**settings):
        config = Config(scan=settings)
        return scan(tmp_path / "archive", tmp_path / "dataset", config, InlineExecutor())

    return run


def statuses(frame):
    return {row.path: (row.status, row.error_class) for row in frame.itertuples()}


SOUND, OTHER = ("unused", ""), ("rejected", "OtherCorrectionError")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Land_Mode", ("land", False)), ("LAND MODE", ("land", False)), ("Water_Mode", ("water", False)),
        ("water-mode", ("water", False)), ("Combined", ("combined", False)), ("", ("land", True)),
        ("NA", ("land", True)), ("N/A", ("land", True)), ("-999", ("land", True)),
    ],
)  # fmt: skip
def test_words(text, expected):
    assert correction_of(text, Path("METADATA.XML"), "DT0000001849_001") == expected


@pytest.mark.parametrize("text", ["Ice_Mode", "landwater", "1", "Land_Mode, Water_Mode", "ländmode", "None"])
def test_words_that_nobody_knows(text):
    with pytest.raises(UnknownCorrectionError, match="Land_Mode, Water_Mode, Combined"):
        correction_of(text, Path("METADATA.XML"), "DT0000001849_001")


@pytest.mark.parametrize("water", [NEWER, OLDER])
def test_a_water_mode_product_does_not_take_the_place_of_the_land_mode_product(make, scanned, water):
    land, other = make(), make(seed=1, **WATER, **water)
    found = scanned()
    newer = water is NEWER
    assert statuses(found) == {land.name: SOUND, other.name: OTHER if newer else ("superseded", "")}
    if newer:
        reason = found.loc[found["error_class"] != "", "reason"].item()
        assert "water-mode" in reason
        assert "--set scan.correction=water" in reason
    assert found.loc[found["eligible"], "correction"].tolist() == ["land"]


@pytest.mark.slow
def test_water_by_choice(make, scanned):
    land, water = make(**NEWER), make(seed=1, **WATER)
    found = scanned(correction="water")
    assert statuses(found) == {land.name: OTHER, water.name: SOUND}
    row = found[found["eligible"]].iloc[0]
    assert (row["correction"], row["correction_assumed"], row["water_type"]) == ("water", False, "Clear")
    assert statuses(scanned()) == {land.name: SOUND, water.name: OTHER}  # known from the scan before


def test_the_image_of_another_quantity_is_not_decoded(make, scanned, monkeypatch):
    water = make(**WATER)
    monkeypatch.setattr(inspect, "open_raster", None)
    assert statuses(scanned()) == {water.name: OTHER}


@pytest.mark.slow
def test_silent_products_are_taken_for_land_and_say_so(make, scanned):
    make(tile=1)
    make(tile=2, correction="", cirrus_haze_removal=True)
    make(tile=3, correction="NA")
    found = scanned()
    assert found["correction"].tolist() == ["land"] * 3
    assert found["correction_assumed"].tolist() == [False, True, True]
    assert found["cirrus_haze_removal"].tolist() == [False, True, False]
    assert found["water_type"].isna().all()
    assert (scanned(correction="water")["error_class"] == "OtherCorrectionError").all()


@pytest.mark.parametrize("wanted", ["land", "water"])
def test_an_unknown_word_is_neither(make, scanned, wanted):
    product = make(correction="Ice_Mode")
    found = scanned(correction=wanted)
    assert statuses(found) == {product.name: ("rejected", "UnknownCorrectionError")}
    assert "'Ice_Mode'" in found["reason"].item()
    assert "--set scan.accept=DT0000001849_001=correction" in found["reason"].item()


def test_an_unknown_word_may_be_waived_but_not_water(make, scanned):
    odd, water = make(correction="Ice_Mode"), make(tile=2, **WATER)
    found = scanned(accept=["DT0000001849_001=correction", "DT0000001849_002"])
    assert statuses(found) == {odd.name: SOUND, water.name: OTHER}
    row = found[found["eligible"]].iloc[0]
    assert (row["correction"], row["correction_assumed"], row["accepted"]) == ("land", True, "correction")


@pytest.mark.parametrize("validity", ["all-bands", "at-cut", "classes"])
def test_of_a_combined_product_only_one_side_of_the_shore_counts(make, scanned, tmp_path, validity):
    product = make(correction="Combined", water_type="Turbid")
    with rasterio.open(next(product.glob("*CLASSES*"))) as source:
        classes = source.read(1)
    for wanted, expected in (("land", classes < 2), ("water", classes == 2)):
        found = scanned(correction=wanted, validity=validity)
        assert found[["correction", "water_type"]].to_numpy().tolist() == [["combined", "Turbid"]]
        coded = mask.load(tmp_path / "dataset" / found["mask"][0])
        np.testing.assert_array_equal((coded & mask.VALID) > 0, expected)
        assert found["valid_fraction"][0] == pytest.approx(expected.mean())


def test_a_combined_product_without_the_quantity_is_no_damage(make, scanned):
    product = make(correction="Combined")
    path = next(product.glob("*CLASSES*"))
    with rasterio.open(path, "r+") as target:
        classes = target.read(1)
        target.write(np.where(classes == 1, 2, classes).astype(np.uint8), 1)
    found = scanned()
    assert statuses(found) == {product.name: OTHER}
    assert "without land" in found["reason"].item()


@pytest.mark.slow
def test_fingerprints_of_land_are_those_of_before(make, scanned):
    """Written down from the version before, of products that it accepted (-999 included)."""
    make(tile=1)
    make(tile=2, correction="", cirrus_haze_removal=True)
    make(tile=3, computed=False)
    make(tile=4, seed=1, sun_elevation=-999.0)
    assert scanned(validity="all-bands")["fingerprint"].str.slice(0, 12).tolist() == BEFORE
    assert scanned(correction="land")["eligible"].all()


BEFORE = ["b30e97f67fa1", "7cd33c0b5ce8", "5d23cbf0e9b6", "bf0796bfe20a"]


@pytest.mark.slow
def test_fingerprints_say_what_values_are(make, scanned):
    make(correction="Combined")
    land, water = (scanned(correction=wanted)["fingerprint"][0] for wanted in ("land", "water"))
    set_text(make(correction="Combined"), "processing/correctionType", lambda _: "Land_Mode")
    assert len({land, water, scanned()["fingerprint"][0]}) == 3


def test_what_was_not_computed_is_unknown_and_ranks_nowhere(make, scanned):
    make(computed=False)
    found = scanned()
    covers = ["cloud_cover", "haze_cover", "cirrus_cover", "snow_cover", "water_cover"]
    assert found[[*covers, "off_nadir", "overall_quality"]].isna().all().all()
    for most, status in ((0, "rejected"), (1, "rejected"), (2, "unused")):
        judged = reject_poor(found, QualityConfig(max_overall_quality=most))
        assert judged["status"].tolist() == [status]
    reason = reject_poor(found, QualityConfig())["reason"].item()
    assert reason.startswith("overall quality unknown, at most 1 asked for.")


def test_a_sun_that_cannot_be_is_no_sun(make, scanned):
    make(sun_elevation=-999.0)
    found = scanned()
    assert found["sun_elevation"].isna().all()
    judged = reject_poor(found, QualityConfig())
    assert judged["reason"].item().startswith("sun at unknown degrees, at least 10.0 asked for.")
    assert reject_poor(found, QualityConfig(min_sun_elevation=-89))["status"].item() == "rejected"
    assert reject_poor(found, QualityConfig(min_sun_elevation=-90))["status"].item() == "unused"


@pytest.mark.parametrize("most", [0, 1, 2])
def test_known_grades_are_judged_as_ever(most):
    rows = {
        "eligible": True,
        "sun_elevation": 50.0,
        "overall_quality": [0, 1, 2, None],
        "status": "unused",
        "accepted": "",
    }
    tiles = pd.DataFrame(rows | {"reason": "", "error_class": ""})
    judged = reject_poor(tiles, QualityConfig(max_overall_quality=most))
    assert (judged["status"] == "unused").tolist() == [True, most >= 1, most >= 2, most == 2]
    assert json.dumps(judged["reason"][2:].tolist()).count("overall quality") == (2 if most < 2 else 0)
