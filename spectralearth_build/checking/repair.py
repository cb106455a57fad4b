"""Repair of a damaged dataset from its archive.

Shards are cut again, and tables planned again, in a folder of their own. They replace damaged ones only if they have
the size and hash that the manifest (or the commit record) gives. So a repair changes no intact file, and readers can
use the dataset meanwhile. Derived files (statistics, index, metadata, manifest) are computed again.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from spectralearth_build.archive.presence import require_archive
from spectralearth_build.checking.damage import Damage
from spectralearth_build.checking.file_check import without_manifest
from spectralearth_build.checking.rebuild import workshop
from spectralearth_build.checking.repair_job import Repair, RepairJob
from spectralearth_build.checking.verify import verify
from spectralearth_build.cluster import Executor
from spectralearth_build.config import Config
from spectralearth_build.journal import refuse_half_grown
from spectralearth_build.layout import (
    MANIFEST,
)
from spectralearth_build.store.manifest import Manifest
from spectralearth_build.store.seal import is_sealed


def repair(
    archive: Path, dataset: Path, config: Config, executor: Executor, draw: Callable[[Path], None]
) -> Repair:
    """Repair the damage that `verify` finds, then damage that was hidden by it, such as shards whose plan was lost.

    Args:
        archive: folder of the products, as when the dataset was built.
        dataset: the dataset.
        config: the settings. Those recorded in the manifest take precedence.
        executor: runs the tasks.
        draw: draws the map of the plan to a path, from the tables of the dataset.

    Raises:
        UsageError: The dataset was never published, or is growing.
        ArchiveError: The archive is empty.
    """
    archive, dataset = archive.absolute(), dataset.absolute()
    require_archive(archive)
    refuse_half_grown(dataset)
    result = _once(archive, dataset, config, executor, draw)
    while result.repaired and (hidden := [damage for damage in result.left if damage not in result.found]):
        again = _once(archive, dataset, config, executor, draw)
        repaired = [*dict.fromkeys([*result.repaired, *again.repaired])]
        result = Repair([*result.found, *hidden], repaired, again.refused, again.left)
    return result


def _once(
    archive: Path, dataset: Path, config: Config, executor: Executor, draw: Callable[[Path], None]
) -> Repair:
    """Repair what `verify` finds now."""
    manifest = _manifest(dataset)
    result = Repair(_found(dataset, manifest, executor))
    job = RepairJob(
        archive,
        dataset,
        folder=workshop(dataset),
        config=config,
        executor=executor,
        manifest=manifest,
        result=result,
    )
    try:
        planned = job.plan()
        if planned is not None:
            job.shards(planned)
            job.tables(planned)
            job.map(draw)
    finally:
        shutil.rmtree(job.folder, ignore_errors=True)
    job.labels()
    job.unread()
    job.unknown()
    job.derived()
    result.left = verify(dataset, None, executor)
    return result


def _manifest(dataset: Path) -> Manifest | None:
    """The manifest; None if it cannot be trusted."""
    try:
        data = (dataset / MANIFEST).read_bytes()
        return Manifest.decode(data) if is_sealed(data) else None
    except (FileNotFoundError, ValueError):
        return None


def _found(dataset: Path, manifest: Manifest | None, executor: Executor) -> list[Damage]:
    """Return all damage. Without a manifest, the damage that tables and commit records show by themselves."""
    if manifest:
        return verify(dataset, None, executor)
    lost = Damage("FileChanged", MANIFEST, "The file is missing, or differs from what was written.")
    return [lost, *without_manifest(dataset)]
