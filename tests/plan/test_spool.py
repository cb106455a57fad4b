"""Rows on disk by bucket: nothing is lost, the order within a bucket stays, and little is held."""

import tracemalloc
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralearth_build.plan.spool import Spool

SCHEMA = pa.schema([("name", pa.string()), ("many", pa.list_(pa.string()))])


def rows(numbers):
    return pa.table(
        {"name": [str(n) for n in numbers], "many": [[str(n)] * (n % 3) for n in numbers]}, SCHEMA
    )


@given(st.lists(st.lists(st.integers(0, 5), max_size=6), max_size=8), st.sampled_from([1, 60, 1 << 20]))
def test_buckets_are_a_stable_sort(parts, held):
    count, expected = 0, {}
    with TemporaryDirectory() as folder:
        spool = Spool(Path(folder) / "spool", SCHEMA, held)
        for buckets in parts:
            numbers = range(count, count + len(buckets))
            spool.add(rows(numbers), np.array(buckets, np.int64))
            for bucket, number in zip(buckets, numbers, strict=True):
                expected.setdefault(bucket, []).append(number)
            count += len(buckets)
        assert spool.buckets() == sorted(expected)
        for bucket, numbers in expected.items():
            assert spool.read(bucket).equals(rows(numbers))


def test_files_that_the_system_leaves_in_the_folder_are_no_buckets(tmp_path):
    spool = Spool(tmp_path / "spool", SCHEMA)
    spool.add(rows([1, 2]), np.array([7, 7]))
    for name in (".nfs00000000", ".DS_Store", "._7"):
        (spool.folder / name).write_bytes(b"x")
    assert spool.buckets() == [7]
    assert spool.read(7).equals(rows([1, 2]))


@pytest.mark.parametrize("parts", [20, 200])
def test_what_is_held_does_not_grow(tmp_path, parts):
    part, keys = rows(range(1000)), np.arange(1000) % 10
    spool = Spool(tmp_path / "spool", SCHEMA, held=5 * part.nbytes)
    tracemalloc.start()
    before = pa.total_allocated_bytes()
    most = 0
    for _ in range(parts):
        spool.add(part, keys)
        most = max(most, pa.total_allocated_bytes() - before)
    python = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 5 * part.nbytes  # the parts themselves were there before
    assert python < 1 << 20
    assert len(spool.read(3)) == 100 * parts
