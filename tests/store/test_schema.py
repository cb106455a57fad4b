from __future__ import annotations

import json
import struct

import numpy as np
import pyarrow as pa
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays, from_dtype

from spectralearth_build.layout import shard_name
from spectralearth_build.store.schema import (
    Coordinate,
    Texts,
    coordinate_files,
    encode_texts,
    metadata_bytes,
    reflectance_document,
    root_attributes,
    root_document,
    row_coordinates,
)

NUMBERS = st.sampled_from(["int32", "int64", "float64"]).flatmap(
    lambda kind: arrays(
        kind, st.tuples(st.integers(0, 4), st.integers(0, 4)), elements=from_dtype(np.dtype(kind))
    )
)


def read_back(folder, name: str, coordinate: Coordinate) -> zarr.Array:
    _, files = coordinate_files(name, coordinate)
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return zarr.open_array(folder / "store.zarr" / name, mode="r")


@settings(max_examples=30, deadline=None)
@given(NUMBERS)
def test_zarr_reads_numbers_back(tmp_path_factory, values):
    array = read_back(tmp_path_factory.mktemp("c"), "n", Coordinate(("a", "b"), values, {"units": "m"}))
    assert array.dtype == values.dtype
    assert array.metadata.dimension_names == ("a", "b")
    assert array.attrs["units"] == "m"
    np.testing.assert_array_equal(array[...], values)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.text(max_size=5), max_size=4))
def test_zarr_reads_text_back(tmp_path_factory, words):
    array = read_back(tmp_path_factory.mktemp("c"), "t", Coordinate(("a",), pa.array(words, pa.string()), {}))
    assert array[...].tolist() == words


@given(st.lists(st.lists(st.text(max_size=5), max_size=4), max_size=4))
def test_texts_in_pieces_are_the_same_bytes(pieces):
    whole = pa.array([word for piece in pieces for word in piece], pa.string())
    plain = struct.pack("<I", len(whole)) + b"".join(
        struct.pack("<I", len(word.encode())) + word.encode() for word in whole.to_pylist()
    )
    texts = Texts(len(whole), lambda: (pa.array(piece, pa.string()) for piece in pieces))
    assert encode_texts(texts) == encode_texts(whole) == plain
    padded = pa.concat_arrays([pa.array(["x"]), whole]).slice(1)
    assert encode_texts(padded) == plain


def test_a_flipped_bit_in_a_coordinate_is_noticed(tmp_path):
    read_back(tmp_path, "n", Coordinate(("a",), np.arange(99.0), {}))
    path = tmp_path / "store.zarr/n/c.0"
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="checksum"):
        zarr.open_array(tmp_path / "store.zarr/n", mode="r")[...]


def test_reflectance_document():
    document = reflectance_document(3, 16, "spectral")
    assert document["shape"] == [48, 202, 128, 128]
    assert document["chunk_grid"]["configuration"]["chunk_shape"] == [16, 202, 128, 128]
    assert document["fill_value"] == -32768
    assert document["dimension_names"] == ["row", "band", "y", "x"]
    sharding = document["codecs"][0]["configuration"]
    assert sharding["chunk_shape"] == [1, 202, 128, 128]
    assert [codec["name"] for codec in sharding["codecs"]] == [
        "spectralearth.band_prediction", "blosc", "crc32c",
    ]  # fmt: skip
    assert [codec["name"] for codec in sharding["index_codecs"]] == ["bytes", "crc32c"]


def test_portable_names_only_codecs_of_the_specification():
    names = [
        c["name"] for c in reflectance_document(1, 1, "portable")["codecs"][0]["configuration"]["codecs"]
    ]
    assert names == ["bytes", "blosc", "crc32c"]


@pytest.mark.parametrize("codec", ["spectral", "fast", "portable"])
def test_zarr_writes_the_same_metadata(tmp_path, codec):
    """Reading and writing a document through zarr changes nothing of its meaning."""
    document = reflectance_document(2, 4, codec)
    (tmp_path / "zarr.json").write_bytes(metadata_bytes(document))
    theirs = zarr.open_array(tmp_path, mode="r").metadata.to_dict()
    assert json.loads(json.dumps(theirs, default=list)) == document


def test_root_lists_arrays_and_explains_itself():
    attributes = root_attributes("plan", "spectral", 1, ["west", "epsg"])
    root = root_document(attributes, {"b": {"x": 1}, "a": {"x": 2}})
    assert list(root["consolidated_metadata"]["metadata"]) == ["a", "b"]
    assert root["attributes"]["coordinates"] == "epsg west"
    assert "EPSG:epsg[r]" in root["attributes"]["crs_comment"]


def test_row_coordinates_start_empty():
    coordinates = row_coordinates(3)
    assert {len(each.values) for each in coordinates.values()} == {3}
    assert {each.dims for each in coordinates.values()} == {("row",)}


def test_shards_lie_in_one_folder():
    assert shard_name(12) == "store.zarr/reflectance/c.12.0.0.0"
