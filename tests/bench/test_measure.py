import resource
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralearth_build.bench.measure import APART, COUNTS, at_most, counts, peak_mb, timed
from spectralearth_build.overlap.runs import joined
from spectralearth_build.threads import cores


@given(st.lists(st.integers(1, 9), max_size=6))
def test_counts_by_hand(dates):
    found = counts(np.array(dates, np.int32))
    assert tuple(found) == COUNTS
    assert found["patches"] == sum(dates)
    assert found["locations"] == len(dates)
    assert found["locations_3"] == len([n for n in dates if n >= 3])
    assert found["pairs"] == sum(len([(i, j) for i in range(n) for j in range(i)]) for n in dates)


def test_a_clock_is_right_even_after_an_error():
    clocks = []

    def fail():
        with timed() as clock:
            clocks.append(clock)
            time.sleep(0.02)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert 0.02 <= clocks[0].seconds < 1


def test_what_takes_too_long_is_interrupted_and_nothing_else_is():
    def work(call):
        with at_most(0.05):
            while True:
                call()

    runs = np.array([[0, 0, 9]], np.int32)
    for call in (lambda: time.sleep(0.001), lambda: joined(runs, np.ones(1, bool))):  # numba's calls as well
        with pytest.raises(TimeoutError):
            work(call)
    with at_most(0.05):
        pass
    time.sleep(0.07)  # would raise, were the alarm still set


def test_peak_memory_is_in_megabytes():
    program = (
        "from spectralearth_build.bench.measure import peak_mb\n"
        "before = peak_mb(); held = b'x' * 200_000_000; print(before, peak_mb())"
    )
    command = [*APART, sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    before, after = map(float, done.stdout.split())
    assert after - before == pytest.approx(200, abs=30)
    assert peak_mb(resource.RUSAGE_CHILDREN) >= after - 1
    assert cores() >= 1
