"""Failures of cut that every run retries: those that the disk, permissions or the machine may have caused.

Whether a product is readable now is tested without a task, so that a published dataset stays open meanwhile.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from spectralearth_build.archive.disk import require_whole
from spectralearth_build.archive.names import IMAGE
from spectralearth_build.archive.product import open_product
from spectralearth_build.errors import ProductError, is_lasting
from spectralearth_build.layout import SCRATCH
from spectralearth_build.store.commit import Commit
from spectralearth_build.store.failed_tiles import FailedTile, stamp
from spectralearth_build.store.planned import Planned

NEIGHBOUR = re.compile(r"(\S+) cannot be read: (\w+)")
"""The reason of a patch that was skipped because of a neighbour: the tile, and the class of the error."""


@dataclass(frozen=True)
class Readable:
    """Tests whether products are readable now, each once."""

    archive: Path
    dataset: Path
    planned: Planned
    _known: dict[str, bool] = field(default_factory=dict)

    def again(self, note: FailedTile) -> bool:
        """Return whether to retry a failed tile, because its files have changed or may be readable now."""
        path = self.planned.able.path(note.tile_id)
        return note.stamp != stamp(self.archive, path) or (not note.lasting and self._reads(note.tile_id))

    def now(self, commit: Commit) -> bool:
        """Return whether a shard lacks patches because of a neighbour that may be readable now."""
        found = (NEIGHBOUR.fullmatch(skip.reason) for skip in commit.skipped)
        names = {match[1] for match in found if match and not is_lasting(match[2])}
        return any(self._reads(name) for name in sorted(names & self.planned.able.keys()))

    def _reads(self, tile_id: str) -> bool:
        if tile_id not in self._known:
            path = self.planned.able.path(tile_id)
            try:
                with open_product(self.archive, path, self.dataset / SCRATCH, (IMAGE,)) as product:
                    require_whole(product.image_path)
                self._known[tile_id] = True
            except ProductError:
                self._known[tile_id] = False
        return self._known[tile_id]
