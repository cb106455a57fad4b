"""The label arrays in store.zarr: one patch per chunk, in shards with the same rows as the pixels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy.typing as npt

from spectralearth_build.layout import label_shard
from spectralearth_build.overlap.lattice import WINDOW
from spectralearth_build.storage import attach
from spectralearth_build.store import schema
from spectralearth_build.store.labels import Definition, LabelRecord
from spectralearth_build.store.manifest import entry_of_file
from spectralearth_build.store.shard import ShardReader, ShardWriter, Written, shard_writer

SHAPE = (WINDOW, WINDOW)
"""Number of lines and columns of a patch."""
LabelMap = npt.NDArray[Any]
"""[128, 128] with the data type of its definition."""


def label_document(definition: Definition, shards: int, shard_rows: int) -> schema.Document:
    """Return the metadata of a label array.

    Args:
        definition: definition of the label.
        shards: number of shards of the store.
        shard_rows: number of rows per shard.
    """
    fill = "NaN" if definition.nodata is None else definition.nodata
    attributes = {
        "long_name": f"{definition.label}: {definition.nomenclature or definition.kind}",
        "definition": definition.data.decode().strip(),  # as text, since netCDF has no nested attributes
        **_flags(definition),
    }
    return schema.sharded_document(
        shards,
        shard_rows,
        SHAPE,
        codecs=schema.plain_codecs(),
        data_type=definition.dtype,
        fill=fill,
        dims=("row", "y", "x"),
        attributes=attributes,
    )


class LabelShardWriter:
    """Appends maps to a shard of labels; see `label_shard_writer`."""

    def __init__(self, writer: ShardWriter) -> None:
        self._writer = writer

    def add(self, row: int, values: LabelMap) -> None:
        """Write a map, in the type of the definition.

        Args:
            row: row inside the shard, above those that were added before.
            values: the map.
        """
        self._writer.add(row, schema.encode_plain(values))

    @property
    def written(self) -> Written:
        """Size and hash of the file so far."""
        return self._writer.written


@contextmanager
def label_shard_writer(dataset: Path, label: str, shard: int, rows: int) -> Iterator[LabelShardWriter]:
    """Write a label shard atomically. The same maps give the same bytes.

    Args:
        dataset: the dataset.
        label: name of the label.
        shard: number of the shard.
        rows: number of rows per shard.

    Raises:
        OutOfSpaceError: The disk is full. Nothing remains of the shard.
    """
    with shard_writer(dataset / label_shard(label, shard), rows) as writer:
        yield LabelShardWriter(writer)


def read_label(reader: ShardReader, row: int, dtype: str) -> LabelMap | None:
    """Return the map in a row of a shard; None if there is none.

    Raises:
        DamagedError: Its checksum or content is wrong.
    """
    data = reader.encoded(row)
    return None if data is None else schema.decode_plain(data, SHAPE, dtype)


def is_whole(dataset: Path, record: LabelRecord) -> bool:
    """Return whether the shard of a record exists and has the right hash."""
    path = dataset / record.shard_name
    return path.is_file() and hash_of(path) == record.sha256


def hash_of(path: Path) -> str:
    """Return the SHA-256 of a file, which is fetched if necessary."""
    attach.present(path)
    return str(entry_of_file(path)["sha256"])


def _flags(definition: Definition) -> dict[str, Any]:
    """Return the meaning of codes as CF attributes."""
    words = [(code, each["name"]) for each in definition.classes for code in each["codes"]]
    if not words:
        return {}
    ordered = sorted(words)
    return {
        "flag_values": [code for code, _ in ordered],
        "flag_meanings": " ".join(re.sub(r"\W+", "_", name).strip("_").lower() for _, name in ordered),
    }
