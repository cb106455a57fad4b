from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralearth_build.loader.series import YEAR_US, choose, spread

moments = st.lists(st.integers(0, 10**15), min_size=1, max_size=9, unique=True).map(sorted)


def keys_of(n, seed=0):
    return np.random.default_rng(seed).permutation(n).astype(np.uint64)


@given(moments, st.integers(1, 6), st.sampled_from(["random", "farthest", "season"]), st.integers(0, 9))
def test_dates_are_distinct_and_ascending(acquired, k, rule, seed):
    picked = choose(rule, np.array(acquired), keys_of(len(acquired), seed), k)
    assert picked == sorted(picked)
    assert len(picked) == k
    assert len(set(picked)) == min(k, len(acquired))
    if k >= len(acquired):  # all, each as often as the others or once more
        often = np.bincount(picked)
        assert often.max() - often.min() <= 1


@given(moments.filter(lambda m: len(m) > 2), st.integers(0, 9))
def test_two_farthest_are_the_first_and_last(acquired, seed):
    assert choose("farthest", np.array(acquired), keys_of(len(acquired), seed), 2) == [0, len(acquired) - 1]


@given(moments.filter(lambda m: len(m) > 3), st.integers(3, 4), st.integers(0, 9))
def test_farthest_spread_is_at_least_half_of_the_best(acquired, k, seed):
    """Farthest-point sampling is within a factor of two of the best choice (Gonzalez 1985); here by brute force."""
    if k >= len(acquired):
        k = len(acquired) - 1
    time = np.array(acquired)

    def least(chosen):
        return np.diff(time[list(chosen)]).min()

    best = max(least(chosen) for chosen in combinations(range(len(time)), k))
    assert 2.0001 * least(choose("farthest", time, keys_of(len(time), seed), k)) >= best


@given(moments.filter(lambda m: len(m) > 2), st.integers(0, 9))
def test_the_second_season_is_the_farthest(acquired, seed):
    time, keys = np.array(acquired), keys_of(len(acquired), seed)
    first = int(np.argmin(keys))
    angle = 2 * np.pi * time / YEAR_US
    chord = np.abs(np.exp(1j * angle) - np.exp(1j * angle[first]))
    picked = choose("season", time, keys, 2)
    assert first in picked
    (other,) = set(picked) - {first}
    assert chord[other] >= np.delete(chord, first).max() - 1e-6


def test_december_is_near_january():
    day = 86_400_000_000
    time = np.array([10 * day, 100 * day, 190 * day, 360 * day])
    assert choose("season", time, np.array([0, 1, 2, 3], np.uint64), 2) == [0, 2]


def test_random_dates_are_uniform():
    time = np.arange(4) * 10**12
    pairs = [
        tuple(choose("random", time, np.random.default_rng(seed).integers(0, 2**63, 4).astype(np.uint64), 2))
        for seed in range(1200)
    ]
    often = {pair: pairs.count(pair) for pair in combinations(range(4), 2)}
    assert sum(often.values()) == 1200
    assert all(150 < count < 250 for count in often.values())


def test_spread_by_hand():
    at = np.array([0.0, 1.0, 5.0, 9.0, 10.0])
    assert spread(np.abs(at[:, None] - at[None]), 0, 3) == [0, 2, 4]


@pytest.mark.parametrize("rule", ["random", "farthest", "season"])
def test_one_date_varies(rule):
    time = np.arange(5) * 10**13
    seen = {choose(rule, time, keys_of(5, seed), 1)[0] for seed in range(60)}
    assert seen == {0, 1, 2, 3, 4}
