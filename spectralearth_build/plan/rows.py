"""Assign a row of the store to each patch. The patches of a tile fill shards of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ShardRows:
    """The rows of the store that the patches of each tile fill.

    A shard has patches of one tile only, so that a task that reads one tile writes whole files. The last shard of a
    tile may be partly empty: its last rows do not exist.
    """

    patches: npt.NDArray[np.integer[Any]]
    """Number of patches of each tile [tile]; the tiles are in the order of their shards."""
    shard_rows: int
    """Rows in a shard."""
    first_shard: int = 0
    """Number of the first shard."""

    @property
    def shards(self) -> int:
        """Number of shards."""
        return int(self._needed.sum())

    @property
    def _needed(self) -> Ints:
        return np.asarray(-(-self.patches // self.shard_rows), np.int64)

    def of(self, tiles: npt.NDArray[np.integer[Any]]) -> tuple[Ints, Ints]:
        """Number patches.

        Args:
            tiles: the tile of each patch, ascending; all patches of these tiles, in their final order.

        Returns:
            Shard and store row of each patch.
        """
        needed = self._needed
        shards = self.first_shard + np.cumsum(needed) - needed
        first = np.searchsorted(tiles, tiles)
        within = np.arange(len(tiles)) - first
        shard = shards[tiles] + within // self.shard_rows
        return shard, shard * self.shard_rows + within % self.shard_rows
