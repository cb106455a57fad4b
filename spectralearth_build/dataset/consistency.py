"""Check that patches in the store are those of the tables: a copy may mix up shards, or files of several datasets.

patches.parquet has a checksum of the pixels of each patch. Datasets of earlier versions have none, so the size of their
shards is compared with the manifest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spectralearth_build.columns import Table
from spectralearth_build.errors import DamagedError
from spectralearth_build.layout import MANIFEST, PLAN
from spectralearth_build.plan_document import PlanDocument
from spectralearth_build.storage.url import Remote
from spectralearth_build.store.manifest import listed

AGAIN = "Files were mixed up. Copy the dataset again, or run `repair DATASET --archive ARCHIVE`."


@dataclass(frozen=True)
class ConsistencyCheck:
    """Checks that the files of a dataset belong together."""

    folder: Path
    """Folder of the tables and the manifest."""
    remote: Remote | None
    """Location of the store, if it is on an object store."""
    _measured: set[str] = field(default_factory=set, compare=False, repr=False)
    """Shards that were found to have the right size."""

    def require(self, shard: str, row: int, checksum: float | None, values: npt.NDArray[Any]) -> None:
        """Check that values are those of a row.

        Args:
            shard: path of the row's shard below the dataset.
            row: row of the store.
            checksum: checksum from the table; None or NaN if it has none.
            values: the values read.

        Raises:
            DamagedError: The values belong to another patch, or the size of the shard differs from the manifest.
        """
        from spectralearth_build.store.codec import checksum_of  # it imports zarr

        if checksum is not None and not np.isnan(checksum):
            if checksum_of(values) != int(checksum):
                what = f"Row {row} does not contain the data that the table of this dataset describes."
                raise DamagedError(what, self._where(shard), AGAIN)
        elif shard not in self._measured:
            expected, found = self._promised(shard), self._size(shard)
            if expected is not None and found != expected:
                what = f"The shard has {found} bytes, but {MANIFEST} says {expected}."
                raise DamagedError(what, self._where(shard), AGAIN)
            self._measured.add(shard)

    def require_table(self, table: Table, plan: str) -> None:
        """Check that a table belongs to the store.

        A table contains the ids of all generations of its plan, and may have grown since the store was published.
        Tables of earlier versions have no ids. Their size is compared with the manifest, unless they have grown.

        Args:
            table: the table.
            plan: the plan that the store was published with.

        Raises:
            DamagedError: The table belongs to another dataset, or is older than the store.
        """
        plans, path = table.plans_of(self.folder), self.folder / table.file
        if plans:
            if plan not in plans:
                raise DamagedError("The table does not belong to the store of this dataset.", path, AGAIN)
        elif path.is_file() and self._planned() == plan:
            expected, found = self._promised(table.file), path.stat().st_size
            if expected not in (None, found):
                raise DamagedError(
                    f"The table has {found} bytes, but {MANIFEST} says {expected}.", path, AGAIN
                )

    def _where(self, shard: str) -> str:
        return str(self.remote / shard if self.remote else self.folder / shard)

    def _promised(self, name: str) -> int | None:
        """Return the size of a file in the manifest; None if it is not listed."""
        entry = listed(self.folder, name)
        return None if entry is None else int(entry["bytes"])

    def _size(self, shard: str) -> int | None:
        if self.remote is None:
            path = self.folder / shard
            return path.stat().st_size if path.is_file() else None
        from spectralearth_build.storage.client import Client

        meta = Client(self.remote).head(shard)
        return None if meta is None else meta.size

    def _planned(self) -> str:
        """Return the id of the current plan, which may have grown."""
        plan = PlanDocument.readable(self.folder / PLAN)
        return plan.id if plan else ""
