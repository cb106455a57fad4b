"""How loops over a loader begin, go on elsewhere, are shared, and end."""

import pickle
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectralearth_build.errors import UsageError
from tests.support.loader_data import flat, made, rows_of, truth
from tests.support.processes import PATIENCE, started

torch = pytest.importorskip("torch")


def test_epochs_differ_and_repeat(known):
    loader = made(known)
    one, two = rows_of(loader), rows_of(loader)
    assert one != two
    assert sorted(flat(one)) == sorted(flat(two))
    assert loader.epoch == 2
    assert [rows_of(again := made(known, threads=5, ahead=1)), rows_of(again)] == [one, two]
    loader.set_epoch(0)
    assert rows_of(loader) == one
    assert rows_of(made(known, seed=1)) != one


def test_in_order(known):
    assert flat(rows_of(made(known, shuffle=False))) == known.written["store_row"].tolist()


@pytest.mark.slow
@settings(max_examples=10)
@given(st.integers(0, 3), st.integers(0, 4), st.sampled_from([None, 2]), st.booleans())
def test_resumed_anywhere_it_goes_on_bit_by_bit(known, epochs, steps, dates, drop_last):
    options = {"dates": dates, "drop_last": drop_last, "copy": True, "seed": 5}
    first = made(known, 2, **options)
    first.set_epoch(epochs)
    running = iter(first)
    for _ in range(min(steps, len(first))):
        next(running)
    state = pickle.loads(pickle.dumps(first.state_dict()))
    rest = [*running, *first]
    running.close()
    second = made(known, 2, **options, threads=3)
    second.load_state_dict(state)
    again = [*second, *second]
    assert len(rest) == len(again)
    for a, b in zip(rest, again, strict=True):
        assert np.array_equal(a["pixels"], b["pixels"])
        assert all(np.array_equal(a[name], b[name]) for name in ("row", "acquired", "index"))


def test_a_state_after_an_epoch_begins_the_next(known):
    one, two = made(known), made(known)
    list(one)
    two.load_state_dict(one.state_dict())
    assert two.epoch == 1
    assert rows_of(two) == rows_of(one)


def test_a_loop_that_is_left_counts_as_an_epoch(known):
    loader = made(known)
    for _ in loader:
        break
    assert rows_of(loader) == rows_of(made_at(known, 1))


def made_at(known, epoch):
    loader = made(known)
    loader.set_epoch(epoch)
    return loader


def test_a_state_of_something_else_is_refused(known):
    state = made(known).state_dict()
    with pytest.raises(UsageError, match="seed 0, this one has 1"):
        made(known, seed=1).load_state_dict(state)
    with pytest.raises(UsageError, match="samples 15, this one has 5"):
        made(known, dates=1).load_state_dict(state)


@pytest.mark.parametrize("drop_last", [False, True])
def test_processes_by_rank(known, drop_last):
    per_rank = [rows_of(made(known, 2, rank=rank, world_size=4, drop_last=drop_last)) for rank in range(4)]
    assert len({len(rows) for rows in per_rank}) == 1
    rows = [row for part in per_rank for batch in part for row in batch]
    assert len(rows) == (8 if drop_last else 16)
    assert len(set(rows)) == (8 if drop_last else 15)
    assert len(per_rank[0]) == len(made(known, 2, rank=3, world_size=4, drop_last=drop_last))


def test_rank_of_torch_distributed(known, tmp_path):
    torch.distributed.init_process_group("gloo", f"file://{tmp_path / 'meet'}", rank=0, world_size=1)
    try:
        assert (made(known).rank, made(known).world_size) == (0, 1)
    finally:
        torch.distributed.destroy_process_group()
    with pytest.raises(UsageError, match="rank"):
        made(known, rank=2, world_size=2)


def loaders_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("loader-")]


def test_threads_end_with_the_loop(known):
    for _ in made(known, 1):
        assert len(loaders_threads()) == 2
        break
    assert not loaders_threads()
    with pytest.raises(RuntimeError, match="mine"):
        fail_in_loop(made(known, 1))
    assert not loaders_threads()
    running = iter(made(known, 1))
    next(running)
    running.close()
    assert not loaders_threads()
    with pytest.raises(StopIteration):
        next(running)


def fail_in_loop(loader):
    for _ in loader:
        raise RuntimeError("mine")


def test_a_new_loop_ends_the_old_one(known):
    loader = made(known, 1)
    old = iter(loader)
    next(old)
    for batch in loader:
        truth(known, batch)
        assert len(loaders_threads()) == 2
        break
    assert list(old) == []


SCRIPT = """
import sys, time
sys.modules["torch"] = None
from spectralearth_build.loader import Loader
loader = Loader(sys.argv[1], 2, as_numpy=True, threads=4)
running = iter(loader)
next(running)
print("ready", flush=True)
if sys.argv[2] == "wait":
    while True:
        for batch in loader:
            time.sleep(0.01)
"""


def looping(known, mode):
    """A process that loops over a loader, to its end or for ever."""
    command = [sys.executable, "-W", "error", "-c", SCRIPT, known.folder, mode]
    return started(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.slow
def test_a_process_ends_in_the_middle_of_a_loop_without_torch(known):
    with looping(known, "end") as process:
        assert process.communicate(timeout=PATIENCE) == ("ready\n", "")


@pytest.mark.slow
def test_ctrl_c(known):
    with looping(known, "wait") as process:
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=PATIENCE)
    assert process.returncode in (-signal.SIGINT, 130)
    assert "KeyboardInterrupt" in error


def test_a_loader_can_be_pickled(known):
    loader = made(known)
    list(loader)
    assert rows_of(pickle.loads(pickle.dumps(loader))) == rows_of(loader)
