import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralearth_build.loader import order

counts = st.integers(1, 60)


@given(counts, st.integers(0, 2**40), st.integers(0, 1000))
def test_each_number_once(n, seed, epoch):
    assert sorted(order.permutation(n, seed, epoch).tolist()) == list(range(n))


def test_the_order_is_pinned():
    """A saved state must mean the same with every version of numpy."""
    assert order.permutation(12, 0, 0).tolist() == PINNED
    assert order.permutation(12, 0, 1).tolist() != order.permutation(12, 1, 0).tolist() != PINNED


def test_the_order_is_random_over_the_whole():
    """Neighbours lie a third of the whole apart; places do not depend on numbers, nor one epoch on another."""
    n = 100_000
    one, two = order.permutation(n, 3, 0), order.permutation(n, 3, 1)
    assert abs(np.abs(np.diff(one)).mean() / n - 1 / 3) < 0.01
    for a, b in ((one, np.arange(n)), (one, two)):
        assert abs(np.corrcoef(a, b)[0, 1]) < 0.02
    # of the first batches, each tenth of the dataset gives a tenth
    assert np.abs(np.bincount(one[:20_000] // (n // 10)) - 2000).max() < 250


@given(counts, st.integers(1, 7), st.integers(1, 5), st.booleans())
def test_processes_share_an_epoch(n, batch, world, drop_last):
    numbers = np.arange(n)
    per_rank = [list(order.batches(numbers, 0, batch, rank, world, drop_last)) for rank in range(world)]
    sizes = [[len(part) for part in parts] for parts in per_rank]
    assert all(size == sizes[0] for size in sizes)
    assert len(sizes[0]) == order.steps(n, 0, batch, world, drop_last)
    assert all(size == batch for size in sizes[0][: None if drop_last else -1])
    given_out = sorted(int(p) for parts in per_rank for part in parts for p in part)
    if drop_last:
        assert given_out == list(range(n // (batch * world) * batch * world))
    else:
        repeated = list(range(-n % world))  # the first of the epoch, and fewer than there are processes
        assert given_out == sorted([*range(n), *(p % n for p in repeated)])


@given(st.data(), counts, st.integers(1, 7), st.integers(1, 4), st.integers(1, 4), st.booleans())
def test_other_processes_go_on(data, n, batch, world, later, drop_last):
    """After some steps, another number of processes reads exactly what is left."""
    numbers = np.arange(n)
    whole = [list(order.batches(numbers, 0, batch, rank, world, drop_last)) for rank in range(world)]
    done = data.draw(st.integers(0, len(whole[0])))
    before = {int(p) for parts in whole for part in parts[:done] for p in part}
    seen = sum(world * len(part) for part in whole[0][:done])
    rest = [list(order.batches(numbers, seen, batch, rank, later, drop_last)) for rank in range(later)]
    after = [int(p) for parts in rest for part in parts for p in part]
    left = set(range(n)) - before
    if drop_last:
        assert set(after) <= left
        assert len(after) == len(left) // (batch * later) * batch * later
    else:
        assert set(after) >= left
        assert len(after) - len(left) < later
    if later == world:
        assert [[p.tolist() for p in parts] for parts in rest] == [
            [p.tolist() for p in parts[done:]] for parts in whole
        ]


def test_keys_are_others_than_the_order():
    keys = order.keys(1000, 1, 2)
    assert keys.dtype == np.uint64
    assert not np.array_equal(np.argsort(keys), order.permutation(1000, 1, 2))
    assert not np.array_equal(keys, order.keys(1000, 1, 3))


@pytest.mark.parametrize("n", [1, 2, 3, 64, 65, 1024, 1025])
def test_powers_of_two(n):
    assert sorted(order.permutation(n, 9, 9).tolist()) == list(range(n))


PINNED = [11, 3, 2, 1, 8, 6, 0, 7, 4, 10, 5, 9]
