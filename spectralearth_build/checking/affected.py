"""The patches that damage of a whole shard affects, looked up in an index that is made once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spectralearth_build.checking.damage import Damage
from spectralearth_build.layout import PatchStatus, is_label_shard, is_shard, label_shard_of, shard_of
from spectralearth_build.tables import PATCHES

_NONE = np.empty(0, np.int64)


class Affected:
    """Names of patches by shard, in the order of the table.

    Args:
        batches: patch_id, shard, store_row and status of all patches, in pieces.
    """

    def __init__(self, batches: Iterable[pa.RecordBatch]) -> None:
        names, shards, rows, with_pixels = [], [_NONE], [_NONE], [_NONE.astype(np.bool_)]
        for batch in batches:
            names.append(batch["patch_id"])
            shards.append(batch["shard"].to_numpy())
            rows.append(batch["store_row"].to_numpy())
            pixels = pc.is_in(batch["status"], pa.array([PatchStatus.WRITTEN, PatchStatus.RETIRED]))
            with_pixels.append(pixels.to_numpy(zero_copy_only=False))
        self._names = names
        self._begins = np.cumsum([0, *map(len, names)])
        self._shards, self._rows = np.concatenate(shards), np.concatenate(rows)
        self._with_pixels = np.concatenate(with_pixels)
        self._order = None
        if (self._shards[1:] < self._shards[:-1]).any():
            self._order = np.argsort(self._shards, kind="stable")
            self._shards = self._shards[self._order]

    @classmethod
    def read(cls, folder: Path) -> Affected:
        """Read patches.parquet in a folder."""
        return cls(PATCHES.batches(folder, ["patch_id", "shard", "store_row", "status"]))

    def names(self, shard: int) -> dict[int, str]:
        """Return the names of all patches of a shard by store row, in the order of the table."""
        found = self._of(shard)
        return dict(zip(self._rows[found].tolist(), self._named(found), strict=True))

    def _of(self, shard: int) -> npt.NDArray[np.int64]:
        """Return the places of the patches of a shard in the table."""
        places = np.arange(*np.searchsorted(self._shards, [shard, shard + 1]).tolist())
        return places if self._order is None else self._order[places]

    def _named(self, places: npt.NDArray[np.int64]) -> list[str]:
        # Not `take` of a chunked array: it copies all names, for each shard.
        pieces = np.searchsorted(self._begins, places, side="right") - 1
        return [
            str(self._names[piece][place])
            for piece, place in zip(pieces.tolist(), (places - self._begins[pieces]).tolist(), strict=True)
        ]

    def named(self, damage: Damage) -> Damage:
        """Add the affected patches to the damage of a whole shard, which is missing or has another size."""
        if damage.kind == "FileUnknown" or not (is_shard(damage.path) or is_label_shard(damage.path)):
            return damage
        shard = label_shard_of(damage.path) if is_label_shard(damage.path) else shard_of(damage.path)
        if shard is None:
            return damage
        found = self._of(shard)
        return replace(damage, patches=tuple(self._named(found[self._with_pixels[found]])))
