import itertools
import threading
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectralearth_build.loader.pipeline import Pipeline
from tests.support.processes import PATIENCE


def drain(pipeline):
    got = []
    while (job := pipeline.next()) is not None:
        got.append((job.slot, list(job.items)))
        pipeline.release(job.slot)
    pipeline.close()
    return got


@settings(max_examples=40)
@given(st.lists(st.integers(1, 5), max_size=12), st.integers(1, 4), st.integers(1, 5))
def test_batches_come_in_order_and_whole(sizes, slots, threads):
    batches = [[(k, i) for i in range(size)] for k, size in enumerate(sizes)]
    filled = [{} for _ in range(slots)]

    def fill(item, slot, place):
        time.sleep(0.0005 * (hash(item) % 3))
        filled[slot][place] = item
        return item

    pipeline = Pipeline(iter(batches), fill, range(slots), threads)
    got = drain(pipeline)
    assert [items for _, items in got] == batches


def test_a_buffer_is_left_alone_until_it_is_released():
    buffers = np.zeros((3, 4), np.int64)

    def fill(item, slot, place):
        buffers[slot, place] = item
        return item

    batches = ([4 * k + i for i in range(4)] for k in itertools.count())
    pipeline = Pipeline(batches, fill, range(3), 2)
    jobs = [pipeline.next() for _ in range(3)]
    time.sleep(0.05)
    for k, job in enumerate(jobs):
        assert buffers[job.slot].tolist() == [4 * k + i for i in range(4)]
    pipeline.release(jobs[1].slot)
    fourth = pipeline.next()
    assert fourth.slot == jobs[1].slot
    assert buffers[fourth.slot].tolist() == [12, 13, 14, 15]
    pipeline.close()


def test_an_error_comes_with_its_batch_and_the_first_of_several_counts():
    def fill(item, slot, place):
        if item in (5, 6):
            raise ValueError(item)
        return item

    pipeline = Pipeline(iter([[1, 2], [3, 4], [6, 5], [7]]), fill, range(4), 3)
    assert [pipeline.next().items for _ in range(2)] == [[1, 2], [3, 4]]
    with pytest.raises(ValueError, match="6"):
        pipeline.next()
    pipeline.close()


def test_an_error_in_making_batches_comes_after_those_before():
    def batches():
        yield [1]
        raise KeyError("no more")

    pipeline = Pipeline(batches(), lambda item, slot, place: item, range(2), 2)
    assert pipeline.next().items == [1]
    with pytest.raises(KeyError, match="no more"):
        pipeline.next()
    pipeline.close()


def test_close_ends_the_threads_and_begins_no_more_samples():
    entered, begun = threading.Event(), []

    def fill(item, slot, place):
        begun.append(item)
        entered.set()
        time.sleep(0.05)
        return item

    pipeline = Pipeline(([k] for k in itertools.count()), fill, range(2), 4)
    assert entered.wait(PATIENCE)
    before = len(begun)
    pipeline.close()
    assert len(begun) <= before + 4  # each thread may have taken one more by then
    assert not [t for t in threading.enumerate() if t.name.startswith("loader-")]
    assert pipeline.next() is None


def test_memory_does_not_grow_over_ten_thousand_batches():
    batches = ([(k, i) for i in range(4)] for k in range(11_000))
    pipeline = Pipeline(batches, lambda item, slot, place: item, range(3), 2)

    def run(count):
        for _ in range(count):
            job = pipeline.next()
            pipeline.release(job.slot)

    tracemalloc.start()
    run(1000)
    before, _ = tracemalloc.get_traced_memory()
    run(10_000)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    pipeline.close()
    assert after - before < 50_000
