"""Figures of a contest, recomputed by hand."""

import numpy as np
import pandas as pd
import pytest

from spectralearth_build.bench.measure import counts
from spectralearth_build.bench.planning.comparison import estimated, lost, ratios, totals
from spectralearth_build.bench.planning.contest import OURS, Contest

DATES = {  # component: class, tiles, dates of the windows of the lattice, of Algorithm 1, of ours
    0: (0, 1, [1, 1], [1], [1, 1, 1]),
    1: (0, 2, [1, 1, 1, 1], None, [1, 1, 1, 1, 1]),
    2: (1, 3, [2, 2, 1], [2, 2], [2, 2]),
    3: (1, 3, [3], None, [3, 2]),
}


@pytest.fixture
def made():
    def run(component, strategy, dates, seconds, finished=True):
        achieved = counts(np.array(dates, np.int64))
        values = {
            "value_patches": achieved["patches"],
            "value_series": 100 * achieved["locations_2"] + achieved["patches"],
            "value_pairs": 100 * achieved["pairs"] + achieved["patches"],
        }
        group, tiles = DATES[component][:2]
        about = {"component": component, "tiles": tiles, "class": group, "strategy": strategy}
        return about | {"finished": finished, "seconds": seconds} | achieved | values

    runs = []
    for component, (_, _, lattice, slow, ours) in DATES.items():
        runs.append(run(component, "fixed lattice", lattice, 0.5))
        runs += [run(component, name, ours, 2.0) for name in OURS.values()]
        if slow is not None:
            runs.append(run(component, "Algorithm 1, 20 kept", slow, 60.0))
    runs.append(run(3, "Algorithm 1, 20 kept", [], 100.0, finished=False))
    components = pd.DataFrame(
        {
            "component": list(DATES),
            "tiles": [1, 2, 3, 3],
            "class": [0, 0, 1, 1],
            "valid_pixels": [10 * 128**2] * 4,
            "seconds": [1.0, 2.0, 3.0, 4.0],
            "bound_patches": [4.0, 6.0, 6.0, 8.0],
            "bound_series": [4.0, 6.0, 606.0, 808.0],
            "bound_pairs": [4.0, 6.0, 606.0, 808.0],
        }
    )
    return Contest(components, pd.DataFrame(runs))


def test_totals(made):
    table = totals(made).set_index("strategy")
    ours, slow = table.loc["ours (patches)"], table.loc["Algorithm 1, 20 kept"]
    assert ours[["components", "tiles", "unfinished", "patches", "locations"]].tolist() == [4, 9, 0, 17, 12]
    assert ours[["locations_2", "locations_3", "locations_5", "pairs"]].tolist() == [4, 1, 0, 6]
    assert ours["mean_dates"] == pytest.approx(17 / 12)
    assert ours["used_share"] == pytest.approx(17 / 40)
    assert ours["bound_share_patches"] == pytest.approx(17 / 24)
    assert ours["seconds"] == 8
    assert ours["shared_seconds"] == 10
    assert slow[["components", "unfinished", "patches", "locations_2", "pairs"]].tolist() == [2, 1, 5, 2, 2]
    assert slow["used_share"] == pytest.approx(5 / 20)
    assert slow["shared_seconds"] == 1 + 3
    assert slow["seconds"] == 120


def test_ratios_are_of_the_same_components(made):
    table = ratios(made).set_index(["strategy", "preset"])
    lattice = table.loc[("fixed lattice", "patches")]
    assert lattice["patches"] == lattice["archive_patches"] == pytest.approx(17 / 14)
    assert lattice["seconds"] == pytest.approx(2 / 8)
    assert lattice["seconds_in_all"] == pytest.approx(12 / 18)
    assert lattice["worse"] == 1
    slow = table.loc[("Algorithm 1, 20 kept", "pairs")]
    assert slow["components"] == 2
    assert slow["patches"] == pytest.approx((3 + 4) / (1 + 4))
    assert slow["seconds"] == pytest.approx(120 / 4)
    assert slow["seconds_in_all"] == pytest.approx(124 / 8)
    # class 0: 8 x 1/3, class 1: 9 x 4/4
    assert slow["archive_patches"] == pytest.approx(17 / (8 / 3 + 9))
    # class 0: none of ours, none of theirs; class 1: 4 x 2/2
    assert slow["archive_locations_2"] == pytest.approx(4 / 4)
    assert slow["archive_seconds"] == pytest.approx(30)
    assert lattice["archive_patches_low"] == lattice["archive_patches_high"] == lattice["archive_patches"]


def test_the_interval_is_that_of_samples_of_the_sample(made):
    runs = made.runs.copy()
    extra = runs[runs["component"] == 0].assign(component=4)
    extra.loc[extra["strategy"] == "Algorithm 1, 20 kept", "patches"] = 3
    components = pd.concat([made.components, made.components.iloc[:1].assign(component=4)])
    wide = ratios(Contest(components, pd.concat([runs, extra]))).set_index(["strategy", "preset"])
    slow = wide.loc[("Algorithm 1, 20 kept", "patches")]
    # class 0: of 11 patches of ours, theirs are 1/3 or 3/3 of ours, or between; class 1: 9 x 4/4
    assert slow["archive_patches_low"] == pytest.approx(20 / (11 + 9))
    assert slow["archive_patches"] == pytest.approx(20 / (11 * 4 / 6 + 9))
    assert slow["archive_patches_high"] == pytest.approx(20 / (11 / 3 + 9))


def test_what_ours_lacks_is_scaled_by_components(made):
    mine = made.runs[made.runs["strategy"] == "ours (patches)"]
    theirs = mine[mine["component"].isin([0, 2, 3])].assign(locations_2=7)
    # class 0: 7 in one of two components; class 1: both measured
    assert estimated(mine, theirs, "locations_2") == pytest.approx(14 + 14)


def test_no_estimate_where_a_class_is_missing(made):
    mine = made.runs[made.runs["strategy"] == "ours (patches)"]
    assert np.isnan(estimated(mine, mine[mine["component"] < 2], "patches"))
    assert estimated(mine, mine, "patches") == 17


def test_losses_are_listed(made):
    table = lost(made)
    assert table["component"].tolist() == [2, 2, 2]
    assert table["strategy"].unique().tolist() == ["fixed lattice"]
    assert table["preset"].tolist() == ["patches", "series", "pairs"]
    assert table.iloc[0][["ours", "theirs"]].tolist() == [4, 5]
