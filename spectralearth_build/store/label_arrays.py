"""The arrays of labels in store.zarr: one patch a chunk, in shards of the same rows as the pixels."""

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
"""Lines and columns of a patch."""
LabelMap = npt.NDArray[Any]
"""[128, 128] in the type of its definition."""


def label_document(definition: Definition, shards: int, shard_rows: int) -> schema.Document:
    """Metadata of the array of a label.

    Args:
        definition: what the label is.
        shards: shards of the store.
        shard_rows: rows of a shard.
    """
    fill = "NaN" if definition.nodata is None else definition.nodata
    attributes = {
        "long_name": f"{definition.label}: {definition.nomenclature or definition.kind}",
        "definition": definition.data.decode().strip(),  # as text: netCDF holds no trees
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
        """What the file is so far."""
        return self._writer.written


@contextmanager
def label_shard_writer(dataset: Path, label: str, shard: int, rows: int) -> Iterator[LabelShardWriter]:
    """Write a shard of labels atomically; the same bytes for the same maps.

    Args:
        dataset: the dataset.
        label: name of the label.
        shard: number of the shard.
        rows: rows of a shard.

    Raises:
        OutOfSpaceError: no space left; nothing remains of the shard.
    """
    with shard_writer(dataset / label_shard(label, shard), rows) as writer:
        yield LabelShardWriter(writer)


def read_label(reader: ShardReader, row: int, dtype: str) -> LabelMap | None:
    """The map in a row of a shard; None if there is none.

    Raises:
        DamagedError: its checksum or content is wrong.
    """
    data = reader.encoded(row)
    return None if data is None else schema.decode_plain(data, SHAPE, dtype)


def is_whole(dataset: Path, record: LabelRecord) -> bool:
    """Whether the shard of a record is there and has its hash."""
    path = dataset / record.shard_name
    return path.is_file() and hash_of(path) == record.sha256


def hash_of(path: Path) -> str:
    """SHA-256 of a file that may have to be fetched."""
    attach.present(path)
    return str(entry_of_file(path)["sha256"])


def _flags(definition: Definition) -> dict[str, Any]:
    """What CF calls the meaning of codes, for tools that know it."""
    words = [(code, each["name"]) for each in definition.classes for code in each["codes"]]
    if not words:
        return {}
    ordered = sorted(words)
    return {
        "flag_values": [code for code, _ in ordered],
        "flag_meanings": " ".join(re.sub(r"\W+", "_", name).strip("_").lower() for _, name in ordered),
    }
