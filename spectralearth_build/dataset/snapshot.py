"""The file of a table as it was when the dataset was first read, although a build may put another in its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from spectralearth_build.columns import Table


class Snapshot:
    """One table of a dataset, opened at its first use and kept open.

    Publication replaces files and never changes them, so an open file stays what it was, and numbers of rows stay
    valid. Threads and forked processes may share it.

    Args:
        table: the table.
        folder: folder of its file.
    """

    def __init__(self, table: Table, folder: Path) -> None:
        self.table, self.folder = table, folder

    @contextmanager
    def opened(self) -> Iterator[pq.ParquetFile]:
        """Yield the file.

        Raises:
            UsageError: It is missing.
            DamagedError: It cannot be read.
        """
        with self.table.opened(self.folder, self.source) as file:
            yield file

    def groups(self, condition: ds.Expression) -> Sequence[int]:
        """Return the numbers of the row groups whose statistics do not exclude a condition."""
        fragment = ds.ParquetFileFormat().make_fragment(self.source)
        return [group.id for group in fragment.subset(condition).row_groups]

    @cached_property
    def source(self) -> pa.NativeFile:
        """The open file. Errors are those of `opened`."""
        return self.table.source(self.folder)
