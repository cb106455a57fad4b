"""The patches that damage of a whole shard affects, looked up in an index that is made once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from spectralearth_build.checking.damage import Damage
from spectralearth_build.layout import PatchStatus, is_label_shard, is_shard, label_shard_of, shard_of


class Affected:
    """Names of patches by shard.

    Args:
        patches: patches.parquet.
    """

    def __init__(self, patches: pd.DataFrame) -> None:
        shards = patches["shard"].to_numpy()
        order = np.argsort(shards, kind="stable")
        self._shards = shards[order]
        self._rows = patches["store_row"].to_numpy()[order]
        self._names = patches["patch_id"].array[order]
        with_pixels = patches["status"].isin([PatchStatus.WRITTEN, PatchStatus.RETIRED])
        self._with_pixels = with_pixels.to_numpy()[order]

    def names(self, shard: int) -> dict[int, str]:
        """Return the names of all patches of a shard by store row, in the order of the table."""
        found = self._of(shard)
        return dict(zip(self._rows[found].tolist(), map(str, self._names[found]), strict=True))

    def _of(self, shard: int) -> slice:
        return slice(*np.searchsorted(self._shards, [shard, shard + 1]).tolist())

    def named(self, damage: Damage) -> Damage:
        """Add the affected patches to the damage of a whole shard, which is missing or has another size."""
        if damage.kind == "FileUnknown" or not (is_shard(damage.path) or is_label_shard(damage.path)):
            return damage
        shard = label_shard_of(damage.path) if is_label_shard(damage.path) else shard_of(damage.path)
        if shard is None:
            return damage
        found = self._of(shard)
        return replace(damage, patches=tuple(map(str, self._names[found][self._with_pixels[found]])))
