"""Work ahead, results in order."""

import threading
import time
from functools import partial

import pytest

from spectralearth_build.threads import in_order, workers


@pytest.mark.parametrize("threads", [1, 3])
def test_results_come_in_order_and_few_wait(threads):
    started, taken, most = [], 0, 0

    def job(number: int) -> int:
        started.append(number)
        time.sleep(0.002 * (number % 3))
        return number

    with workers(threads) as pool:
        for number in in_order(pool, (partial(job, number) for number in range(30)), 5):
            assert number == taken
            taken += 1
            most = max(most, len(started) - taken)
    assert taken == 30
    assert most <= 5


def test_jobs_start_in_the_order_given():
    started = []
    with workers(1) as pool:
        list(in_order(pool, (partial(started.append, number) for number in range(20)), 20))
    assert started == list(range(20))


def test_the_first_failure_in_order_counts_and_the_rest_is_dropped():
    ran, gate = [], threading.Event()

    def job(number: int) -> None:
        ran.append(number)
        if number == 1:
            gate.wait(10)
            raise ValueError("one")
        if number == 2:
            gate.set()
            raise ValueError("two")
        time.sleep(0.01)

    with pytest.raises(ValueError, match="one"), workers(2) as pool:
        list(in_order(pool, (partial(job, number) for number in range(1000)), 6))
    assert len(ran) < 12
