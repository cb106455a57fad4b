import doctest
import time
from collections import Counter

import numpy as np
import pytest

from spectralearth_build import open_dataset
from spectralearth_build.errors import DamagedError, UsageError
from spectralearth_build.loader import Loader, loader
from spectralearth_build.loader.series import RULES
from spectralearth_build.reading.sharded import ShardedReader
from spectralearth_build.store.shard import ShardReader
from tests.support.files import flip_bit
from tests.support.loader_data import DATES, flat, made, pixels_of, rows_of, truth

torch = pytest.importorskip("torch")
ROWS = sum(DATES)


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

    def counted(self, row, out, request):
        reads[row] += 1
        return read_into(self, row, out, request)

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
        flip_bit(own.shard(row), 8 * (start + 50))
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


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"batch_size": 0}, "batch_size must be a whole number, 1 or more"),
        ({"threads": 0}, "threads must be a whole number, 1 or more"),
        ({"dates": 0}, "dates must be a whole number, 1 or more"),
        ({"rule": "best"}, "Unknown rule 'best'"),
        ({"bands": [202]}, "from 0 to 201"),
        ({"bands": []}, "from 0 to 201"),
        ({"on_damage": "skip"}, "'raise' or 'replace'"),
        ({"max_cloud": -1.0}, "max_cloud must be a number, from 0 to 1"),
    ],
)
def test_arguments_that_make_no_sense(known, options, what):
    with pytest.raises(UsageError, match=what):
        made(known, **options)


def test_examples(known):
    result = doctest.testmod(loader, extraglobs={"folder": known.folder})
    assert result.attempted > 2
    assert result.failed == 0
