import doctest
import itertools
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loader_data import DATES, flip, pixels_of

from spectralearth_build import open_dataset
from spectralearth_build.errors import DamagedError, UsageError
from spectralearth_build.loader import Loader, loader
from spectralearth_build.loader.reader import ShardedReader
from spectralearth_build.loader.series import RULES
from spectralearth_build.store.shard import ShardReader

torch = pytest.importorskip("torch")
ROWS = sum(DATES)


def made(known, batch_size=4, **options):
    return Loader(known.folder, batch_size, **{"as_numpy": True, "threads": 2, **options})


def rows_of(batches):
    return [batch["row"].tolist() for batch in batches]


def flat(batches):
    return list(itertools.chain.from_iterable(batches))


def truth(known, batch):
    """Whether pixels and labels of a batch are those of its rows."""
    table = known.patches.set_index("store_row")
    for k, row in np.ndenumerate(batch["row"]):
        expected = table.loc[row]
        assert np.array_equal(batch["pixels"][k], pixels_of(row))
        assert batch["location"][k[0]] == expected["location_id"]
        assert known.patches.loc[batch["index"][k], "store_row"] == row
        assert pd.Timestamp(int(batch["acquired"][k]), unit="us", tz="UTC") == expected["acquired"]


def test_every_patch_once_with_its_pixels_and_labels(known):
    batches = 0
    rows = []
    for batch in made(known):
        truth(known, batch)
        assert batch["pixels"].shape[1:] == (202, 128, 128)
        rows += batch["row"].tolist()
        batches += 1
    assert sorted(rows) == sorted(known.written["store_row"])
    assert batches == len(made(known)) == 4


def test_tensors(known):
    for batch in Loader(known.folder, 8):
        assert batch["pixels"].dtype == torch.int16
        assert batch["row"].dtype == batch["acquired"].dtype == torch.int64
        for k, row in enumerate(batch["row"].tolist()):
            assert np.array_equal(batch["pixels"][k].numpy(), pixels_of(row))


def test_each_patch_is_read_once(known, monkeypatch):
    reads = Counter()
    read_into = ShardedReader.read_into

    def counted(self, row, out):
        reads[row] += 1
        return read_into(self, row, out)

    monkeypatch.setattr(ShardedReader, "read_into", counted)
    assert len(list(made(known))) == 4
    assert reads == Counter(known.written["store_row"].tolist())
    reads.clear()
    rows = [row for batch in made(known, dates=3) for row in batch["row"].ravel().tolist()]
    assert set(reads.values()) == {1}  # those that stand twice in a short series too
    assert set(reads) == set(rows)
    assert len(rows) == 15 > len(reads)


@pytest.mark.parametrize("rule", RULES)
def test_series(known, rule):
    by_place = known.written.groupby("location_id")["store_row"].apply(set)
    seen = set()
    for epoch in range(6):
        loader = made(known, 2, dates=2, rule=rule)
        loader.set_epoch(epoch)
        places = []
        for batch in loader:
            truth(known, batch)
            assert (np.diff(batch["acquired"], axis=1) >= 0).all()
            for place, rows in zip(batch["location"], batch["row"].tolist(), strict=True):
                assert set(rows) <= by_place[place]
                assert len(set(rows)) == min(2, len(by_place[place]))
                seen.add(tuple(rows))
            places += batch["location"]
        assert sorted(places) == sorted(by_place.index)
    assert (len(seen) > len(DATES)) == (rule != "farthest")


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


QUERIES = [
    {"max_cloud": 0.015},
    {"min_dates": 3},
    {"split": "train"},
    {"time": ("2022-03-01", "2023-01-01"), "min_dates": 2},
    {"bbox": (10.0, 40.0, 10.4, 60.0), "max_cloud": 0.025},
]


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: "+".join(query))
def test_conditions_are_those_of_query(known, query):
    expected = open_dataset(known.folder).query(**query)
    assert 0 < len(expected) < ROWS
    assert sorted(flat(rows_of(made(known, **query)))) == sorted(expected["store_row"])
    assert sorted(flat(rows_of(made(known, patches=expected)))) == sorted(expected["store_row"])
    columns = open_dataset(known.folder).query(**query, columns=["store_row"])
    assert columns["store_row"].tolist() == expected["store_row"].tolist()


def test_bands(known):
    for batch in made(known, bands=[150, 3, 3]):
        for k, row in enumerate(batch["row"]):
            assert np.array_equal(batch["pixels"][k], pixels_of(row)[[150, 3, 3]])


def test_a_batch_stays_until_keep_further_ones_were_asked_for(known):
    loader = made(known, 2, keep=2, ahead=1)
    held = []
    for batch in loader:
        held = [*held, batch][-2:]
        time.sleep(0.03)  # the threads fill what they may
        for one in held:
            truth(known, one)
    assert len({id(one["pixels"].base) for one in held}) == 2
    for batch in loader:  # the last ones of an epoch stay through the first turn of the next
        truth(known, batch)
        break


def test_memory_is_used_again_or_copied(known):
    def places(**options):
        return [batch["pixels"].__array_interface__["data"][0] for batch in kept(made(known, 2, **options))]

    def kept(loader):
        return list(loader)

    assert len(set(places())) == 3
    assert len(set(places(copy=True))) == 8
    batches = list(made(known, 2, copy=True))
    for batch in batches:
        truth(known, batch)


def damage(own, count=1):
    rows = own.written["store_row"].tolist()[:count]
    for row in rows:
        start, _ = ShardReader(own.shard(row), 4).index[row % 4].tolist()
        flip(own.shard(row), start + 50)
    return rows


def test_damage_raises_and_names_the_patch(own):
    (row,) = damage(own)
    name = own.written["patch_id"].iloc[0]
    loader = made(own, 2)
    got = []
    with pytest.raises(DamagedError, match=rf"Patch {name}: Row {row}: A checksum") as caught:
        got.extend(batch["row"].tolist() for batch in loader)
    assert caught.value.path == str(own.shard(row))
    healthy = rows_of(made(own, 2, on_damage="replace"))
    assert got == healthy[: len(got)]  # all batches before it
    assert loader.state_dict()["seen"] == 2 * len(got)


def test_damage_is_replaced_and_counted(own):
    bad = damage(own, 3)
    loader = made(own, 4, on_damage="replace")
    rows = []
    for batch in loader:
        truth(own, batch)
        rows += batch["row"].tolist()
    assert len(rows) == ROWS
    assert not set(rows) & set(bad)
    assert set(rows) == set(own.written["store_row"]) - set(bad)
    assert len(loader.damaged) == 3
    assert all(any(f"Row {row}:" in message for message in loader.damaged) for row in bad)
    assert flat(rows_of(made(own, 4, on_damage="replace", threads=4))) == rows


def test_a_written_patch_that_is_gone_is_damage(own):
    row = int(own.written["store_row"].iloc[0])
    own.shard(row).unlink()
    with pytest.raises(DamagedError, match="is not in the store"):
        list(made(own))
    gone = {int(r) for r in own.written["store_row"] if r // 4 == row // 4}
    loader = made(own, on_damage="replace")
    assert not gone & set(flat(rows_of(loader)))
    assert len(loader.damaged) == len(gone)


def test_when_everything_is_damaged_it_says_so(own):
    for row in own.written["store_row"]:
        own.shard(row).unlink(missing_ok=True)
    with pytest.raises(DamagedError, match="is not in the store"):
        list(made(own, on_damage="replace"))


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


def started(known, mode):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", SCRIPT, str(known.folder), mode],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip


def test_a_process_ends_in_the_middle_of_a_loop_without_torch(known):
    out, error = started(known, "end").communicate(timeout=60)
    assert (out, error) == ("ready\n", "")


def test_ctrl_c(known):
    process = started(known, "wait")
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=20)
    assert process.returncode in (-signal.SIGINT, 130)
    assert "KeyboardInterrupt" in error


def test_a_loader_can_be_pickled(known):
    loader = made(known)
    list(loader)
    assert rows_of(pickle.loads(pickle.dumps(loader))) == rows_of(loader)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"batch_size": 0}, "batch_size is 1 or more"),
        ({"threads": 0}, "threads is 1 or more"),
        ({"dates": 0}, "one date or more"),
        ({"rule": "best"}, "no rule 'best'"),
        ({"bands": [202]}, "from 0 to 201"),
        ({"bands": []}, "from 0 to 201"),
        ({"on_damage": "skip"}, "'raise' or 'replace'"),
        ({"max_cloud": -1.0}, "No patch meets"),
    ],
)
def test_arguments_that_make_no_sense(known, options, what):
    with pytest.raises(UsageError, match=what):
        made(known, **options)


def test_examples(known):
    result = doctest.testmod(loader, extraglobs={"folder": known.folder})
    assert result.attempted > 2
    assert result.failed == 0
