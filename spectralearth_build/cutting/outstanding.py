"""What cut has to do: the shards without a valid commit record, and those that may lack fewer patches now."""

from __future__ import annotations

from pathlib import Path

from spectralearth_build.cutting.appeals import appeals
from spectralearth_build.cutting.readable_now import Readable
from spectralearth_build.layout import commit_name, failed_note
from spectralearth_build.publishing.unchanged import unchanged
from spectralearth_build.store.commit import Commit, decode, records
from spectralearth_build.store.failed_tiles import read_failed
from spectralearth_build.store.planned import Planned


def outstanding(archive: Path, dataset: Path, planned: Planned) -> dict[str, list[int]]:
    """Return the shards without a valid commit by tile, except for tiles that failed and would fail again.

    Shards that lack patches because a neighbour could not be read are cut again once it is readable. If a product has
    changed since scan, scan decides whether the tile can be cut now. Failures marked by `--retry-quarantined` do not
    count, but stay until there are new results.
    """
    readable, appealed = Readable(archive, dataset, planned), appeals(dataset)
    commits, incomplete = _committed(dataset, planned)
    lacking = {c.shard for c in incomplete if c.name in appealed or readable.now(c)}
    failed = read_failed(dataset, planned.first_id)
    todo = {}
    for tile_id, shards in planned.shards_by_tile.items():
        missing = [s for s in shards if s not in commits or s in lacking]
        note = failed_note(tile_id)
        if missing and tile_id in failed and note not in appealed and not readable.again(failed[tile_id]):
            missing = [s for s in missing if s in commits]
        if missing:
            todo[tile_id] = missing
    return todo


def _committed(dataset: Path, planned: Planned) -> tuple[set[int], list[Commit]]:
    """Return the shards that have a valid record, and the records of those that lack patches.

    If nothing has changed since publication, only the latter are read.
    """
    live = {shard for shards in planned.shards_by_tile.values() for shard in shards}
    if known := unchanged(dataset):
        some = (decode((dataset / commit_name(shard)).read_bytes()) for shard in known.incomplete)
        return live - set(known.missing), [commit for commit in some if commit.shard in live]
    there, incomplete = set(), []
    for commit, _ in records(dataset, planned.plan_of):
        there.add(commit.shard)
        if commit.skipped and commit.shard in live:
            incomplete.append(commit)
    return there, incomplete
