import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralearth_build.evaluate.fractions import chosen, order

SHARES = (0.01, 0.05, 0.1, 0.5, 1.0)

locations = st.dictionaries(
    st.text("abcdef0123_", min_size=1, max_size=8), st.sets(st.integers(0, 6), max_size=4), max_size=60
)


@pytest.mark.slow
@given(locations, st.integers(0, 99))
def test_shares_are_nested_and_as_large_as_they_should_be(classes, seed):
    parts = [chosen(classes, share, seed) for share in SHARES]
    for small, large in itertools.pairwise(parts):
        assert large[: len(small)] == small
    assert [len(part) for part in parts] == [math.ceil(round(share * len(classes), 6)) for share in SHARES]
    assert sorted(parts[-1]) == sorted(classes)


@given(locations, st.integers(0, 99))
def test_a_share_with_room_for_it_holds_every_class(classes, seed):
    everything = set().union(*classes.values())
    first = order(classes, seed)[: len(everything)]
    assert set().union(*(classes[name] for name in first)) == everything


def test_the_order_is_that_of_names_and_seed_alone():
    classes = {f"32632_{i}_{i}": {0} for i in range(200)}
    turned = dict(reversed(classes.items()))
    assert order(classes, 3) == order(turned, 3)
    assert order(classes, 3) != order(classes, 4)
    # Growing: those that were there keep their order.
    more = classes | {f"new{i}": {0} for i in range(50)}
    kept = [name for name in order(more, 3) if name in classes]
    first = order(classes, 3)[0]
    assert [name for name in kept if name != first] == order(classes, 3)[1:]


def test_a_rare_class_is_in_the_smallest_share():
    classes = {f"place{i}": {0, 1} for i in range(500)} | {"rare": {2}, "rarer": {3}}
    for seed in range(20):
        assert {"rare", "rarer"} <= set(chosen(classes, 0.01, seed))
