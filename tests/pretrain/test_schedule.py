import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralearth_build.pretrain.rate_schedule import cosine, stairs


@given(st.integers(2, 5000), st.floats(0, 0.5))
def test_cosine_ends_with_the_last_step_and_not_before(total, share):
    warmup = int(share * total)
    values = [cosine(step, total, 1.0, 0.0, warmup) for step in range(total)]
    assert values[-1] == pytest.approx(0.0, abs=1e-12) or total - 1 <= warmup
    assert values[:warmup] == sorted(values[:warmup])
    rest = values[warmup:]
    assert rest == sorted(rest, reverse=True)
    assert len(set(rest)) == len(rest)  # a new value at every step, not at every epoch


def test_cosine_in_closed_form():
    assert cosine(0, 101, 2.0, 0.5) == 2.0
    assert cosine(25, 101, 2.0, 0.5) == pytest.approx(0.5 + 0.75 * (1 + math.cos(math.pi / 4)))
    assert cosine(4, 101, 2.0, 0.5, warmup=10) == 1.0


def test_stairs_fall_at_their_shares():
    rates = [stairs(epoch, 100, 1.0, (0.6, 0.8)) for epoch in (0, 59, 60, 79, 80, 99)]
    assert rates == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
