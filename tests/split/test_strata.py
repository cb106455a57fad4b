import numpy as np
import pandas as pd
import pytest

from spectralearth_build.errors import UsageError
from spectralearth_build.split.links import Links, middles
from spectralearth_build.split.strata import regions, seasons, strata

PLACES = [(9.0, 48.0), (-70.0, -33.0), (-180.0, 65.0), (179.9, -0.1)]
MONTHS = [1, 1, 7, 4]


@pytest.fixture
def links():
    patches = pd.DataFrame(
        {
            "patch_id": list("abcd"),
            "location_id": list("AABB"),
            "acquired": [pd.Timestamp(2023, month, 15, tz="UTC") for month in MONTHS],
        }
    )
    return Links(patches, np.array(PLACES), {})


def test_seasons_turn_round_in_the_south(links):
    assert seasons(links).tolist() == ["winter", "summer", "summer", "autumn"]


def test_regions_are_named_after_their_south_western_corner(links):
    assert regions(links).tolist() == ["N30E000", "S60W090", "N60W180", "S30E150"]


def test_membership_is_by_patch_or_location_and_may_be_multiple(links, tmp_path):
    pd.DataFrame({"patch_id": ["a", "a", "c", "z"], "crop": ["x", "y", "x", "x"]}).to_csv(tmp_path / "l.csv")
    names, member = strata(links, ("season", f"crop={tmp_path / 'l.csv'}"))
    found = {name: member[:, column].tolist() for column, name in enumerate(names)}
    assert found == {
        "": [1, 1, 1, 1], "season=winter": [1, 0, 0, 0], "season=summer": [0, 1, 1, 0], "season=autumn": [0, 0, 0, 1],
        "crop=x": [1, 0, 1, 0], "crop=y": [1, 0, 0, 0], "crop=none": [0, 1, 0, 1],
    }  # fmt: skip
    pd.DataFrame({"location_id": ["A"], "crop": ["x"]}).to_parquet(tmp_path / "l.parquet")
    names, member = strata(links, (f"crop={tmp_path / 'l.parquet'}",))
    assert member[:, names.index("crop=x")].tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize(
    ("table", "message"),
    [({"patch_id": ["q"], "crop": ["x"]}, "names no patch"), ({"id": [1]}, "must have the columns")],
)
def test_tables_that_do_not_fit_are_refused(links, tmp_path, table, message):
    pd.DataFrame(table).to_csv(tmp_path / "l.csv")
    with pytest.raises(UsageError, match=message):
        strata(links, (f"crop={tmp_path / 'l.csv'}",))


def test_the_middle_of_a_window_across_the_antimeridian():
    corners = np.array(
        [[[179.9, 10], [-179.9, 10], [-179.9, 9], [179.9, 9]], [[1, 1], [3, 1], [3, 0], [1, 0]]]
    )
    found = middles(corners.astype(float))
    assert abs(abs(found[0, 0]) - 180) < 1e-9
    assert found[0, 1] == 9.5
    assert found[1].tolist() == [2, 0.5]
