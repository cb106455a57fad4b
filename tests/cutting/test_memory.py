"""Memory of tiles is used again by the next task, and never by two at a time."""

import threading

import numpy as np
import pytest

from spectralearth_build.cutting import memory


@pytest.fixture(autouse=True)
def _empty():
    memory.forget()
    yield
    memory.forget()


def test_what_was_given_back_is_used_again():
    first = memory.take((3, 10, 20))
    memory.give_back(first)
    second = memory.take((2, 5, 6))
    assert np.shares_memory(first, second)
    assert second.shape == (2, 5, 6)
    assert second.flags.c_contiguous


def test_arrays_in_use_share_nothing():
    arrays = [memory.take((2, 3, 4)) for _ in range(3)]
    for array in arrays:
        memory.give_back(array)
    arrays = [memory.take((2, 3, 4)) for _ in range(3)]
    assert not any(np.shares_memory(a, b) for k, a in enumerate(arrays) for b in arrays[:k])


def test_the_largest_is_kept_and_a_larger_one_is_made_if_asked_for():
    small, large = memory.take((1, 2, 3)), memory.take((4, 5, 6))
    memory.give_back(large)
    memory.give_back(small)
    assert np.shares_memory(memory.take((4, 5, 6)), large)
    assert memory.take((40, 5, 6)).shape == (40, 5, 6)


def test_nothing_is_kept_that_was_forgotten():
    array = memory.take((1, 2, 3))
    memory.give_back(array)
    memory.forget()
    assert not np.shares_memory(memory.take((1, 2, 3)), array)


def test_threads_never_hold_the_same_memory():
    wrong = []

    def work(number):
        for _ in range(200):
            array = memory.take((1, 50, 50))
            array[:] = number
            wrong.extend([number] * int((array != number).any()))
            memory.give_back(array)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
