"""Patches with pixels of a neighbour whose own task found them to be lost, or found the neighbour to be damaged.

A task decodes only a part of a neighbour, so it cannot judge its pixels. If `scan` has not judged them either, the
neighbour's own task does, and patches that were written before are cut again. What was found lies in the work folder.
If a user has deleted that, each task judges all tiles that it needs, unless their own tasks do in the same run.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from pathlib import Path

import numpy as np

from spectralearth_build import mask as masks
from spectralearth_build.archive.names import parse_name
from spectralearth_build.cutting.compose import loses
from spectralearth_build.cutting.readable_now import NEIGHBOUR
from spectralearth_build.errors import is_lasting
from spectralearth_build.files import write_bytes
from spectralearth_build.layout import ALL_EXACT, commit_files, exact_files
from spectralearth_build.store.commit import Commit
from spectralearth_build.store.failed_tiles import FailedTile
from spectralearth_build.store.planned import Planned
from spectralearth_build.store.planned_patches import PlannedPatch

Clash = Callable[[PlannedPatch, str], bool]
"""Whether a patch, which was skipped for a reason or written (empty), must be cut again."""


def begin(dataset: Path) -> None:
    """Note, before the first shard is cut, that the work folder will have everything that cut finds in pixels."""
    if not (dataset / ALL_EXACT).is_file() and not commit_files(dataset):
        write_bytes(dataset / ALL_EXACT, b"")


def judged(dataset: Path, planned: Planned, running: Container[str] = ()) -> Container[str]:
    """Return the tiles that tasks need not judge for their patches, because the tiles' own tasks do or did.

    Args:
        dataset: the dataset.
        planned: the plan.
        running: the tiles that have a task in this run.
    """
    return planned.shards_by_tile if (dataset / ALL_EXACT).is_file() else running


def refused(planned: Planned, failed: Mapping[str, FailedTile]) -> dict[str, str]:
    """Return the tiles that no patch may use, with the class of the error: those that cut found to be damaged.

    Args:
        planned: the plan.
        failed: notes on the tiles that failed.
    """
    return {
        name: note.error_class
        for name, note in failed.items()
        if name in planned.able and planned.able[name].exact and is_lasting(note.error_class)
    }


def overruled(
    dataset: Path, planned: Planned, commits: Callable[[], Mapping[int, Commit]], bad: Mapping[str, str]
) -> dict[str, list[int]]:
    """Return the shards, by tile, of which patches must be cut again because of a neighbour.

    Args:
        dataset: the dataset.
        planned: the plan.
        commits: reads the commit records; called only if there is such a neighbour.
        bad: the result of `refused`.
    """
    clashes: dict[str, Clash] = {name: _damaged(name) for name in bad}
    for path in exact_files(dataset):
        product = parse_name(path.name)
        if product is not None and product.tile_id in planned.able:
            source = planned.able[product.tile_id]
            if dataset / source.exact == path:
                clashes.setdefault(product.tile_id, _corrected(dataset, planned, product.tile_id))
    beside = {name: shards for name in clashes if (shards := planned.live.shards_beside(name))}
    if not beside:
        return {}
    known, found = commits(), {}
    for name, shards in sorted(beside.items()):
        for shard in shards:
            if shard in known and _clashes(planned, known[shard], name, clashes[name]):
                found[shard] = known[shard].tile_id
    return {
        tile: sorted(s for s, own in found.items() if own == tile) for tile in sorted(set(found.values()))
    }


def _clashes(planned: Planned, commit: Commit, name: str, clash: Clash) -> bool:
    reasons = {skip.patch_id: skip.reason for skip in commit.skipped}
    patches = [patch for patch in planned.live.of_shard(commit.shard) if name in patch.sources]
    return any(clash(patch, reasons.get(patch.patch_id, "")) for patch in patches)


def _damaged(name: str) -> Clash:
    """A patch may not use a damaged tile: the first source that cannot be read is its reason."""

    def clash(patch: PlannedPatch, reason: str) -> bool:
        said = NEIGHBOUR.fullmatch(reason)
        known = said is not None and said[1] in patch.sources
        return not known or patch.sources.index(said[1] if said else "") > patch.sources.index(name)

    return clash


def _corrected(dataset: Path, planned: Planned, name: str) -> Clash:
    """A patch may not be written with pixels that are lost."""
    source = planned.able[name]
    held: list[tuple[np.ndarray, np.ndarray]] = []

    def clash(patch: PlannedPatch, reason: str) -> bool:
        if reason:
            return False
        if not held:
            valid, exact = (
                (masks.load(dataset / m) & masks.VALID).astype(bool) for m in (source.mask, source.exact)
            )
            held.append((valid, valid & ~exact))
        valid, lost = held[0]
        return loses(patch, source.epsg, box=source.box, valid=valid, lost=lost)

    return clash
