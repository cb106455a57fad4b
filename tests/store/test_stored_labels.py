"""Definitions and records of labels as files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import zarr

from spectralearth_build.errors import DamagedError
from spectralearth_build.layout import LABEL_NAME, label_of, label_record, label_shard, shard_name
from spectralearth_build.store import schema
from spectralearth_build.store.label_arrays import is_whole, label_document, label_shard_writer, read_label
from spectralearth_build.store.labels import (
    Definition,
    LabelRecord,
    LabelSource,
    PatchLabel,
    decode_definition,
    decode_record,
    made_of,
    read_labels,
    records_of,
)
from spectralearth_build.store.shard import ShardReader

CLASSES = (
    {"index": 0, "name": "Arable land", "colour": "#ffffa8", "codes": [2, 12]},
    {"index": 1, "name": "Inland marshes", "colour": "#a6a6ff", "codes": [1]},
)
SOURCES = (LabelSource("clc.tif", 2018, 10, "ab"),)
DEFINITION = Definition(
    "corine", "categorical", "int16", -1, "two", CLASSES, "auto", "nearest", 0.02, 0.5, SOURCES
)
PATCHES = (PatchLabel(0, 2018, "clc.tif", 0.75, (0, 1), 1), PatchLabel(1, reason="no raster reaches it"))


def record_of(dataset, shard=0):
    values = np.arange(128 * 128, dtype=np.int16).reshape(128, 128)
    with label_shard_writer(dataset, "corine", shard, 2) as writer:
        writer.add(0, values)
    written = writer.written
    return LabelRecord("corine", DEFINITION.id, "p", shard, PATCHES, written.size, written.sha256), values


def write_definition(dataset):
    (dataset / "labels").mkdir()
    (dataset / "labels/corine.json").write_bytes(DEFINITION.data)


def test_files_come_back_as_they_were(tmp_path):
    assert decode_definition(DEFINITION.data) == DEFINITION
    record, _ = record_of(tmp_path)
    record.write(tmp_path)
    assert decode_record((tmp_path / record.name).read_bytes()) == record
    assert record.written == [0]


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", DEFINITION.data[:-2], DEFINITION.data.replace(b"clc", b"cld")]
)
def test_damaged_definitions_are_none(data):
    with pytest.raises(ValueError, match="not as it was written"):
        decode_definition(data)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"patches": [1]}', b'{"patches": []}'])
def test_damaged_records_are_none(data):
    with pytest.raises(ValueError):  # noqa: PT011
        decode_record(data)


def test_names_tell_labels():
    assert label_of("labels/corine.json") == label_of(label_shard("corine", 3)) == "corine"
    assert label_of(label_record("a_b", 12)) == "a_b"
    for other in ("labels/x.txt", "commits/shard-00000001.json", shard_name(1), "labels.parquet",
                  "labels/A.json", "store.zarr/label_corine/zarr.json", "commits/label_corine-1.json"):  # fmt: skip
        assert label_of(other) == ""
    assert not any(LABEL_NAME.fullmatch(name) for name in ("", "1a", "a-b", "a/b", "A", "x" * 33, "ä"))


def test_what_zarr_reads_is_what_was_written(tmp_path):
    record, values = record_of(tmp_path)
    path = tmp_path / "store.zarr/label_corine/zarr.json"
    path.write_bytes(schema.metadata_bytes(label_document(DEFINITION, 1, 2)))
    array = zarr.open_array(path.parent, mode="r")
    assert (array.shape, array.dtype, array.fill_value) == ((2, 128, 128), np.int16, -1)
    assert np.array_equal(array[0], values)
    assert (array[1] == -1).all()
    assert array.attrs["flag_values"] == [1, 2, 12]
    assert array.attrs["flag_meanings"] == "inland_marshes arable_land arable_land"
    assert np.array_equal(read_label(ShardReader(tmp_path / record.shard_name, 2), 0, "int16"), values)


def test_only_records_with_their_shard_count(tmp_path):
    write_definition(tmp_path)
    for shard in range(3):
        record_of(tmp_path, shard)[0].write(tmp_path)
    replace(record_of(tmp_path, 3)[0], plan="other").write(tmp_path)
    replace(record_of(tmp_path, 4)[0], definition="other").write(tmp_path)
    (tmp_path / label_shard("corine", 1)).unlink()
    (tmp_path / label_record("corine", 2)).write_bytes(b"{}")
    (label,) = read_labels(tmp_path, lambda _: "p")
    assert list(label.records) == [0]
    (label,) = read_labels(tmp_path, lambda _: "p", lenient=True)
    assert list(label.records) == [0, 1] == [r.shard for r in records_of(tmp_path, DEFINITION, lambda _: "p")]
    assert made_of(tmp_path, "corine") == {DEFINITION.id, "other"}
    assert is_whole(tmp_path, label.records[0])
    assert not is_whole(tmp_path, label.records[1])
    (tmp_path / "labels/corine.json").write_bytes(DEFINITION.data[1:])
    assert read_labels(tmp_path, lambda _: "p", lenient=True) == []
    with pytest.raises(DamagedError, match="Run `pair` again"):
        read_labels(tmp_path, lambda _: "p")
