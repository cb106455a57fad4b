"""Whether a patch that was read is the one that the tables speak of: copies mix up shards, and files of datasets.

patches.parquet has a checksum of the pixels of each patch. Datasets of earlier versions have none: of their shards the
size is compared with the manifest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spectralearth_build.errors import DamagedError
from spectralearth_build.storage.url import Remote
from spectralearth_build.store.codec import checksum_of
from spectralearth_build.store.manifest import MANIFEST

AGAIN = "Files of several datasets or places were mixed up: copy it again, or run `repair DATASET --archive ARCHIVE`."


@dataclass(frozen=True)
class Proof:
    """What a dataset's files must be to belong together."""

    folder: Path
    """Where its tables and manifest are."""
    remote: Remote | None
    """Where its store is, if on an object store."""
    _measured: set[str] = field(default_factory=set, compare=False, repr=False)
    """Shards of the right size."""

    def require(self, shard: str, row: int, checksum: float | None, values: npt.NDArray[Any]) -> None:
        """Make sure that values are those of a row.

        Args:
            shard: path of its shard below the dataset.
            row: the row of the store.
            checksum: what a table says of it; None or NaN if it says nothing.
            values: what was read.

        Raises:
            DamagedError: they are of another patch, or the shard is of another size than the manifest says.
        """
        if checksum is not None and not np.isnan(checksum):
            if checksum_of(values) != int(checksum):
                what = f"Row {row} does not hold what the table of this dataset says."
                raise DamagedError(what, self._where(shard), AGAIN)
        elif shard not in self._measured:
            expected, found = self._sizes.get(shard), self._size(shard)
            if expected is not None and found != expected:
                what = f"The shard has {found} bytes, {MANIFEST} says {expected}."
                raise DamagedError(what, self._where(shard), AGAIN)
            self._measured.add(shard)

    def _where(self, shard: str) -> str:
        return str(self.remote / shard if self.remote else self.folder / shard)

    @cached_property
    def _sizes(self) -> Mapping[str, int]:
        """Bytes of each file, by the manifest; nothing if that cannot be read."""
        try:
            files = json.loads((self.folder / MANIFEST).read_bytes())["files"]
            return {name: entry["bytes"] for name, entry in files.items()}
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return {}

    def _size(self, shard: str) -> int | None:
        if self.remote is None:
            path = self.folder / shard
            return path.stat().st_size if path.is_file() else None
        from spectralearth_build.storage.client import Client

        meta = Client(self.remote).head(shard)
        return None if meta is None else meta.size
