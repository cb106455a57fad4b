import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spectralearth_build.errors import UsageError
from spectralearth_build.split.links import links_of
from spectralearth_build.split.make import split
from spectralearth_build.split.recipe import FRACTIONS, Recipe
from spectralearth_build.split.strata import strata
from tests.support.split_archives import (
    MIDDLES,
    archives,
    chain,
    footprint,
    islands,
    leaking,
    tables,
    window_at,
)

PROPERTY = settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
FEWER = settings(PROPERTY, max_examples=25)
BUFFERS = st.sampled_from([0.0, 2.0, 5.0, 20.0])
THIRDS = {"train": 0.4, "val": 0.3, "test": 0.3}


def made(archive, recipe, before=None, **more):
    links = links_of(archive.patches, archive.locations, archive.tiles, recipe.buffer_km)
    return split(links, recipe, strata(links, recipe.stratify), before, **more)


def parts(splits):
    return dict(zip(splits["patch_id"], splits["split"], strict=True))


@pytest.mark.slow
@PROPERTY
@given(archives(), BUFFERS, st.sampled_from([FRACTIONS, THIRDS]), st.integers(0, 3))
def test_no_two_patches_of_different_parts_have_anything_in_common(archive, buffer_km, fractions, seed):
    found = made(archive, Recipe(fractions, buffer_km, seed, ("season", "region")))
    assert sorted(found["patch_id"]) == sorted(archive.patches["patch_id"])
    assert not any(leaking(archive, parts(found), buffer_km).values())
    assert ((found["split"] == "") == (found["reason"] != "")).all()
    assert set(found["split"]) <= {*fractions, ""}


@pytest.mark.slow
@FEWER
@given(archives(), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(archive, random):
    recipe = Recipe(THIRDS, seed=random.randrange(5))
    first = made(archive, recipe)
    for name in ("tiles", "locations", "patches"):
        table = getattr(archive, name)
        order = random.sample(range(len(table)), len(table))
        setattr(archive, name, table.iloc[order].reset_index(drop=True))
    pd.testing.assert_frame_equal(made(archive, recipe), first)


@pytest.mark.slow
@FEWER
@given(archives(), st.data(), BUFFERS)
def test_what_was_assigned_stays_when_a_dataset_grows(archive, data, buffer_km):
    takes = sorted(archive.patches["datatake"].unique())
    steps = data.draw(st.permutations(takes))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(steps)), max_size=2)) | {len(steps)})
    recipe, before = Recipe(THIRDS, buffer_km), None
    for cut in cuts:
        now = archive.grown_from(steps[:cut])
        found = made(now, recipe, before)
        assert not any(leaking(now, parts(found), buffer_km).values())
        if before is not None:
            known = found[found["patch_id"].isin(before["patch_id"])].reset_index(drop=True)
            pd.testing.assert_frame_equal(known, before)
        before = found
    pd.testing.assert_frame_equal(made(archive.grown_from(steps), recipe, before), before)


def test_fractions_are_met_where_groups_allow():
    sizes = np.random.default_rng(0).integers(3, 31, 60)
    archive = islands(sizes.tolist())
    found = made(archive, Recipe(FRACTIONS))
    share = found["split"].value_counts(normalize=True)
    for part, wanted in FRACTIONS.items():
        assert share[part] == pytest.approx(wanted, abs=3 / sizes.sum())
    whole = found.groupby(found["patch_id"].str.rpartition("_")[2])["split"].nunique()
    assert (whole == 1).all()
    other = made(archive, Recipe(FRACTIONS, seed=1))
    assert (other["split"] != found["split"]).mean() > 0.05


def test_strata_are_shared_out_better_than_by_chance():
    random = np.random.default_rng(1)
    sizes = random.integers(2, 12, 80).tolist()
    archive = islands(sizes, (6 * (random.random(80) < 0.2)).tolist())  # a fifth of them in summer
    summer = dict(zip(archive.patches["patch_id"], archive.patches["acquired"].dt.month == 7, strict=True))
    worst = {}
    for by in ((), ("season",)):
        off = []
        for seed in range(5):
            found = made(archive, Recipe(FRACTIONS, seed=seed, stratify=by))
            share = found["patch_id"].map(summer).groupby(found["split"]).mean()
            off.append(max(abs(share[part] - np.mean(list(summer.values()))) for part in FRACTIONS))
        worst[by] = np.mean(off)
    assert worst["season",] < 0.04
    assert worst[()] > 3 * worst["season",], worst


def test_a_group_that_is_too_large_is_divided_at_little_cost():
    archive = chain()
    found = made(archive, Recipe(FRACTIONS, 2.0))
    assert not any(leaking(archive, parts(found), 2.0).values())
    share = found["split"].value_counts(normalize=True)
    # Each of two pieces costs at most two datatakes of three patches, and not all patches of them.
    assert share.get("", 0) <= 4 * 3 / len(found)
    assert 0.05 <= share["val"] <= 0.15
    assert 0.05 <= share["test"] <= 0.15
    assert set(found["reason"]) - {""} <= {f"Would tie train to {p}." for p in ("val", "test")} | {
        "Would tie val to test.", "Would tie test to val."}  # fmt: skip


def test_or_it_is_refused():
    with pytest.raises(UsageError, match="120 of 120 patches are tied together"):
        made(chain(), Recipe(FRACTIONS, 2.0), whole=True)


def test_earlier_assignments_that_leak_are_refused():
    archive = chain(4)
    names = archive.patches.sort_values("patch_id")
    before = names[["patch_id", "location_id"]].assign(split="train", reason="")
    first = sorted(archive.patches["datatake"])[0]
    before.loc[names["datatake"] == first, "split"] = "test"
    with pytest.raises(UsageError, match="Earlier assignments leak"):
        made(archive, Recipe(FRACTIONS), before)


def test_earlier_parts_must_be_asked_for():
    archive = islands([3, 3, 3])
    before = made(archive, Recipe({"train": 0.5, "holdout": 0.5}))
    with pytest.raises(UsageError, match="'holdout', which the fractions do not name"):
        made(archive, Recipe(FRACTIONS), before)


def test_a_group_a_little_too_large_stays_whole_if_dividing_it_costs_more():
    middle, tiles, patches = MIDDLES["plane"], [], []
    for take in range(12):  # nine see the same place, three are alone: 75 % where 60 % are wanted
        x, name = (0 if take < 9 else 60e3 * take), f"DT{take + 1:010d}_001"
        tiles.append({"tile_id": name, "datatake": name[:12], "eligible": True,
                      "geometry": footprint(middle, x, 0, 7500)})  # fmt: skip
        patches += [(window_at(middle, x, 4000 * k), name, [name], name[:12], take) for k in (-1, 0, 1)]
    archive = tables(middle, tiles, patches)
    found = made(archive, Recipe({"train": 0.6, "val": 0.2, "test": 0.2}))
    assert found["split"].value_counts().to_dict() in (
        {"train": 27, "val": 6, "test": 3},
        {"train": 27, "val": 3, "test": 6},
    )
