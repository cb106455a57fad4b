"""How scan reads products again from which patches were cut: as it read them before.

What scan finds in a product depends a little on `scan.validity`: a checksum of all pixels is part of a row's
fingerprint. So a product that is in a dataset would seem to have changed if the setting, or its default, has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from spectralearth_build.archive.discover import Found
from spectralearth_build.archive.identity import decode
from spectralearth_build.archive.record import Record, load_record, stamp_of
from spectralearth_build.archive.versions import pinned
from spectralearth_build.config import ScanConfig
from spectralearth_build.errors import DamagedError, UsageError
from spectralearth_build.journal import newest
from spectralearth_build.tables import ALL_BANDS, AT_CUT, TILES

_SAME = (AT_CUT, ALL_BANDS)
"""Values of scan.validity that lead to the same pixels."""


@dataclass(frozen=True)
class ScanSettings:
    """The section `scan`, for each product."""

    chosen: ScanConfig
    """What the user chose."""
    held: Mapping[str, str] = field(default_factory=dict)
    """scan.validity by product_id of products from which patches were cut."""

    def of(self, item: Found) -> ScanConfig:
        """The settings with which to read a product."""
        before = self.held.get(item.name.product_id) if item.name else None
        if before is None or self.chosen.validity not in _SAME:
            return self.chosen
        return self.chosen.model_copy(update={"validity": before})

    def record(self, dataset: Path, item: Found) -> Record | None:
        """The record of a product that counts, if there is one.

        Where cut may check the pixels, a record of a scan that has checked them is at least as good.
        """
        own = self.of(item)
        stamps = [stamp_of(item, own)]
        if own.validity == AT_CUT and (item.name is None or item.name.product_id not in self.held):
            stamps.append(stamp_of(item, own.model_copy(update={"validity": ALL_BANDS})))
        return load_record(dataset, item, stamps)


def held(dataset: Path) -> dict[str, str]:
    """The scan.validity with which products were read from which patches were cut, by product_id.

    Rows of versions without `at-cut` do not say, and mean `all-bands`.
    """
    products = set(pinned(dataset).values())
    if not products:
        return {}
    found: dict[str, str] = {}
    for folder in dict.fromkeys((dataset, newest(dataset, TILES.file).parent)):
        try:
            for batch in TILES.batches(folder, ["product_id", "eligible", "content"]):
                able = batch.filter(batch["eligible"].fill_null(False))
                for name, content in zip(
                    *(able[k].to_pylist() for k in ("product_id", "content")), strict=True
                ):
                    if name in products:
                        found[name] = AT_CUT if AT_CUT in decode(content) else ALL_BANDS
        except (UsageError, DamagedError, OSError, pa.ArrowException):
            continue  # scan makes it anew, or a later stage reports it
    return found
