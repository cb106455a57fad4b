"""Rows that do not fit into memory, sorted coarsely: files of rows whose keys are neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

HELD = 1 << 24
"""Bytes of rows that a spool holds before it writes them to its files."""
Keys = npt.NDArray[np.integer[Any]]


class Spool:
    """A table on disk in buckets, one file each. Rows of a bucket keep the order in which they came.

    Whoever sorts each bucket, one after the other, has sorted the table, and has held one bucket at a time.
    """

    def __init__(self, folder: Path, schema: pa.Schema, held: int = HELD) -> None:
        """Make an empty spool.

        Args:
            folder: a folder for the files, which does not exist yet.
            schema: names and types of the columns.
            held: bytes to hold before writing.
        """
        self.folder, self.schema, self.held = folder, schema, held
        self._rows: list[pa.Table] = []
        self._buckets: list[Keys] = []
        self._bytes = 0
        self._filled = set[int]()
        folder.mkdir()

    def add(self, rows: pa.Table, buckets: Keys) -> None:
        """Add rows.

        Args:
            rows: a table with the columns of the spool.
            buckets: the bucket of each row [row], not negative.
        """
        self._rows.append(rows)
        self._buckets.append(buckets)
        self._bytes += rows.nbytes
        if self._bytes >= self.held:
            self._flush()

    def buckets(self) -> list[int]:
        """The buckets that have rows, in ascending order."""
        self._flush()
        return sorted(self._filled)  # some systems leave files of their own in a folder

    def read(self, bucket: int) -> pa.Table:
        """The rows of a bucket in one chunk."""
        self._flush()
        return pa.concat_tables(self._stored(bucket)).combine_chunks()

    def _stored(self, bucket: int) -> Iterator[pa.Table]:
        with pa.OSFile(str(self.folder / str(bucket))) as file:
            while file.tell() < file.size():
                yield pa.ipc.open_stream(file).read_all()

    def _flush(self) -> None:
        if not self._rows:
            return
        buckets = np.concatenate(self._buckets)
        order = np.argsort(buckets, kind="stable")
        rows = pa.concat_tables(self._rows).combine_chunks().take(order)
        self._rows, self._buckets, self._bytes = [], [], 0
        for bucket, start, count in zip(
            *np.unique(buckets[order], return_index=True, return_counts=True), strict=True
        ):
            with (
                (self.folder / str(bucket)).open("ab") as file,
                pa.ipc.new_stream(file, self.schema) as stream,
            ):
                stream.write_table(rows.slice(start, count))
            self._filled.add(int(bucket))
