"""Check that splits.parquet, which is written after publication, can be read and matches the patches.

Whether parts share ground is a separate check: `split --check`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from spectralearth_build.checking.damage import Damage
from spectralearth_build.layout import PatchStatus
from spectralearth_build.store.planned import Planned
from spectralearth_build.tables import PATCHES, SPLITS

KIND = "SplitsWrong"
_EXAMPLES = 3


def check_splits(dataset: Path, planned: Planned) -> Iterator[Damage]:
    """Yield all errors in the splits of a dataset; none if it has no splits, or none by patch.

    Args:
        dataset: the folder.
        planned: its plan.
    """
    path = dataset / SPLITS.file
    if not path.is_file():
        return
    try:
        splits = pq.read_table(path, page_checksum_verification=True).to_pandas()
    except (OSError, ValueError) as error:
        yield Damage(KIND, SPLITS.file, f"The file cannot be read: {error}.")
        return
    if not {column.name for column in SPLITS.columns} <= set(splits):
        return
    patches = PATCHES.read(planned.folders[PATCHES.file], ["patch_id", "datatake", "status"])
    live = patches[patches["status"].isin([PatchStatus.WRITTEN, PatchStatus.PLANNED])]
    joined = splits.merge(live[["patch_id", "datatake"]], on="patch_id", how="left")
    assigned = joined[joined["split"] != ""]
    for wrong, text in (
        (splits["patch_id"][splits["patch_id"].duplicated()], "occurs more than once"),
        (splits["patch_id"][~splits["patch_id"].isin(patches["patch_id"])], "is not a patch of the dataset"),
        (_shared(assigned, "location_id"), "is a location in two parts"),
        (_shared(assigned, "datatake"), "is a datatake in two parts"),
    ):
        names = sorted(set(wrong))
        if names:
            more = f" and {len(names) - _EXAMPLES} more" if len(names) > _EXAMPLES else ""
            yield Damage(KIND, SPLITS.file, f"{', '.join(names[:_EXAMPLES])}{more} {text}.")


def _shared(assigned: pd.DataFrame, column: str) -> pd.Index:
    """Return values that occur in more than one part."""
    parts = assigned.groupby(column)["split"].nunique()
    return parts.index[parts > 1]
