"""Spacing of dates against exhaustive search and the calendar."""

from datetime import date
from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spectralearth_build.plan.spacing import season_of, spacing

DAYS = st.lists(st.integers(18_000, 18_900), min_size=1, max_size=8, unique=True)


def apart(days, least):
    return all(abs(a - b) >= least for a, b in combinations(days, 2))


@given(DAYS, st.integers(1, 400))
def test_as_many_dates_as_any_choice_keeps(days, least):
    members = np.ones((1, len(days)), bool)
    chosen = spacing(days, least, one_a_season=False)(members)[0]
    kept = [day for day, yes in zip(days, chosen, strict=True) if yes]
    assert apart(kept, least)
    best = max(n for n in range(1, len(days) + 1) for some in combinations(days, n) if apart(some, least))
    assert len(kept) == best


@given(DAYS, st.data())
def test_only_members_are_chosen_and_each_point_by_itself(days, data):
    masks = data.draw(
        st.lists(st.lists(st.booleans(), min_size=len(days), max_size=len(days)), min_size=1, max_size=5)
    )
    members = np.array(masks, bool)
    rule = spacing(days, 90, one_a_season=True)
    chosen = rule(members)
    assert (chosen <= members).all()
    for alone, together in zip(members, chosen, strict=True):
        assert np.array_equal(rule(alone[np.newaxis])[0], together)


@given(DAYS, st.integers(0, 8), st.booleans())
def test_dates_that_are_held_stay_and_the_others_keep_their_distance(days, seed, one_a_season):
    rule = spacing(days, 100, one_a_season)
    members = np.random.default_rng(seed).random((6, len(days))) < 0.7
    held = rule(members & (np.random.default_rng(seed + 1).random(members.shape) < 0.5))
    chosen = rule(members, held)
    assert (held <= chosen).all()
    assert (chosen <= members).all()
    for row, of in zip(chosen, members, strict=True):
        kept = [day for day, yes in zip(days, row, strict=True) if yes]
        assert apart(kept, 100)
        left = [k for k, seen in enumerate(of) if seen and not row[k]]
        for k in left:  # none of the others could be added
            alone = row.copy()
            alone[k] = True
            assert not np.array_equal(rule(alone[np.newaxis], alone[np.newaxis] & row)[0], alone)


@given(DAYS)
def test_one_date_in_each_season_that_has_any(days):
    chosen = spacing(days, 0, one_a_season=True)(np.ones((1, len(days)), bool))[0]
    day_of = [date.fromordinal(date(1970, 1, 1).toordinal() + day) for day in days]
    seasons = [season_of(d.year, d.month) for d in day_of]
    kept = [season for season, yes in zip(seasons, chosen, strict=True) if yes]
    assert sorted(kept) == sorted(set(seasons))


def test_seasons():
    winter = [season_of(2022, 12), season_of(2023, 1), season_of(2023, 2)]
    assert len(set(winter)) == 1
    assert season_of(2023, 3) == winter[0] + 1 == season_of(2023, 5)
    assert season_of(2023, 12) == winter[0] + 4


def test_no_rule_where_nothing_is_asked():
    assert spacing([1, 2, 3], 0, one_a_season=False) is None
