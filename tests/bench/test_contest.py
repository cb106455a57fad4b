"""What the contest says of each component, against the plan stage and against counting pixels."""

import numpy as np
import pytest

from spectralearth_build import config as settings
from spectralearth_build.bench.measure import counts
from spectralearth_build.bench.planning import contest as module
from spectralearth_build.bench.planning.contest import (
    IN_FULL,
    KEPT,
    OURS,
    classed,
    contest,
    rehearsal,
    sampled,
)
from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.overlap.graph import components
from spectralearth_build.overlap.polygon import region_of_footprint
from spectralearth_build.plan.planner import plan
from spectralearth_build.plan.tasks import tiles_of
from spectralearth_build.synthetic.footprints import footprints
from spectralearth_build.tables import LOCATIONS, TILES

ONE_BY_ONE = "Algorithm 1, 20 kept"


def runs_of(result, strategy):
    return result.runs[result.runs["strategy"] == strategy].set_index("component")


def seen(tiles, by_tile=False):
    """Datatakes that see the whole window at each anchor [line, col], by counting pixels; and the first pixel.

    With ``by_tile``, a datatake counts only where one of its tiles holds the whole window.
    """
    boxes = np.array([[t.box.line, t.box.col, t.box.stop_line, t.box.stop_col] for t in tiles])
    (line, col), (stop, end) = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    shows = {}
    for tile in tiles:
        mask = np.zeros((stop - line, end - col), bool)
        for row, a, b in region_of_footprint(tile.footprint, tile.epsg).runs:
            mask[row - line, a - col : b - col] = True
        shows.setdefault(tile.datatake, []).append(mask)
    depth = 0
    for masks in shows.values():
        apart = masks if by_tile else [np.any(masks, axis=0)]
        depth = depth + np.any([whole(mask) for mask in apart], axis=0)
    return depth, (line, col), sum(np.any(masks, axis=0).sum() for masks in shows.values())


def whole(mask):
    total = np.pad(mask.astype(np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    return total[128:, 128:] - total[:-128, 128:] - total[128:, :-128] + total[:-128, :-128] == 128**2


@pytest.fixture(scope="module")
def groups(tiles):
    every = tiles_of(tiles)
    return [[every[i] for i in group] for group in components(tiles.geometry.to_numpy())]


def test_every_strategy_ran_on_every_component_or_on_the_sample(result):
    sample = set(result.components.loc[result.components["sampled"], "component"])
    assert len(sample) == 5
    for strategy, runs in result.runs.groupby("strategy"):
        slow = strategy.removesuffix(IN_FULL) in KEPT
        assert set(runs["component"]) == (sample if slow else set(range(6)))
    assert result.runs["finished"].all()
    assert (result.runs["seconds"] > 0).all()
    assert result.components["tiles"].tolist() == [1, 3, 4, 2, 2, 1]
    assert result.components["datatakes"].tolist() == [1, 2, 2, 1, 2, 1]
    assert (result.components["lattices"] == 1).all()


@pytest.fixture(scope="module")
def across_zones():
    """An archive with components on two lattices, and the contest on it."""
    tiles = footprints(14, 7)
    return tiles, contest(tiles, sample=0, limit=1)


@pytest.mark.parametrize("value", OURS)
@pytest.mark.parametrize("edge", [False, True])
def test_ours_is_what_the_plan_stage_does(tiles, result, across_zones, tmp_path, value, edge):
    if edge:
        tiles, result = across_zones
        assert (result.components["lattices"] == 2).any()
    TILES.write(tiles, tmp_path)
    plan(tmp_path, settings.load(None, {"plan.value": value}), InlineExecutor())
    locations = LOCATIONS.read(tmp_path)
    ours = runs_of(result, OURS[value])
    for component, dates in locations.groupby("component")["n"]:
        expected = counts(dates.to_numpy())
        assert ours.loc[component, list(expected)].to_dict() == expected


@pytest.mark.slow
def test_the_lattice_is_what_counting_pixels_finds(result, groups):
    lattice = runs_of(result, "fixed lattice")
    for component, group in enumerate(groups):
        depth, (line, col), valid = seen(group)
        dates = depth[-line % 128 :: 128, -col % 128 :: 128]
        expected = counts(dates[dates > 0])
        assert lattice.loc[component, list(expected)].to_dict() == expected
        about = result.components.loc[component]
        assert about["depth"] == depth.max()
        assert about["valid_pixels"] == valid


@pytest.mark.slow
def test_algorithm1_counts_the_tuples_it_knows_of_and_then_all_dates(result, groups):
    own, full = runs_of(result, ONE_BY_ONE), runs_of(result, ONE_BY_ONE + IN_FULL)
    strips = 0
    for component, group in enumerate(groups):
        if component not in own.index:
            continue
        assert own.loc[component, "locations"] == full.loc[component, "locations"]
        assert own.loc[component, "patches"] <= full.loc[component, "patches"]
        apart, _, _ = seen(group, by_tile=True)
        together, _, _ = seen(group)
        if len(group) == len({tile.datatake for tile in group}):  # nothing to join, and all tuples were kept
            assert own.loc[component, "patches"] == full.loc[component, "patches"]
        strips += (apart < together).any()
    assert strips


def test_values_are_those_of_the_presets(result):
    runs = result.runs
    assert (runs["value_patches"] == runs["patches"]).all()
    assert (runs["value_series"] == 10_000 * runs["locations_2"] + runs["patches"]).all()
    assert (runs["value_pairs"] == 10_000 * runs["pairs"] + runs["patches"]).all()


def test_nothing_is_worth_more_than_the_bound(result):
    runs = result.runs.merge(result.components, on="component")
    for value in OURS:
        assert (runs[f"value_{value}"] <= runs[f"bound_{value}"]).all()
        assert (runs[f"bound_{value}"] > 0).all()


def test_who_runs_out_of_time_is_listed_as_unfinished(tiles, monkeypatch):
    monkeypatch.setattr(module, "_warm_up", lambda _: None)
    late = contest(tiles[:2], sample=9, limit=1e-4).runs
    slow = late["strategy"].str.startswith("Algorithm 1")
    assert slow.sum() == 2 * len(KEPT) * late["component"].nunique()
    assert not late.loc[slow, "finished"].any()
    assert (late.loc[slow, "patches"] == 0).all()
    assert late.loc[~slow, "finished"].all()


def test_a_sample_takes_as_many_of_each_class():
    classes = classed([1, 3, 9, 3, 9, 40, 31, 500] + [2] * 90, [1, 1, 1, 2, 3, 4, 5, 6] + [1] * 90)
    assert classes[:9].tolist() == [0, 0, 0, 1, 2, 4, 3, 5, 0]
    chosen = sampled(classes, 10, seed=3)
    assert len(chosen) == 10
    assert {3, 4, 5, 6, 7} < chosen
    assert chosen == sampled(classes, 10, seed=3) != sampled(classes, 10, seed=4)
    assert sampled(classes, 1000, seed=0) == set(range(98))
    assert sampled(classes, 0, seed=0) == set()


def test_the_rehearsal_is_large_but_not_very():
    assert rehearsal([[0], [1, 2], list(range(3, 40))]) == [1, 2]
    assert rehearsal([list(range(40))]) == list(range(40))
