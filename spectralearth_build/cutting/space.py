"""Check of free disk space before cut begins."""

from __future__ import annotations

import shutil
from pathlib import Path

from dask.utils import format_bytes

from spectralearth_build.errors import OutOfSpaceError
from spectralearth_build.journal import newest
from spectralearth_build.layout import PLAN, shard_files, shard_of
from spectralearth_build.plan_document import PlanDocument


def check_space(dataset: Path) -> None:
    """Refuse to start if the patches will not fit.

    Args:
        dataset: folder of a planned dataset. Patches that are already cut are subtracted.

    Raises:
        OutOfSpaceError: The disk has less free space than the plan estimates. The message gives both numbers.
    """
    needed, free = outstanding_bytes(dataset), shutil.disk_usage(dataset).free
    if needed > free:
        raise OutOfSpaceError(
            f"Cutting will write about {format_bytes(needed)}, but only {format_bytes(free)} are free.",
            dataset,
            "Free some space, or add --set run.check_space=false if you know that the patches compress "
            "better.",
        )


def outstanding_bytes(dataset: Path) -> int:
    """Return the estimated number of bytes that cut still has to write."""
    plan = PlanDocument.read(newest(dataset, PLAN))
    first, expected = plan.generations[-1].first_shard, plan.estimate.stored_bytes if plan.estimate else 0
    files = {path: shard_of(path.relative_to(dataset).as_posix()) for path in shard_files(dataset)}
    written = sum(
        path.stat().st_size for path, shard in files.items() if shard is not None and shard >= first
    )
    return max(0, expected - written)
