"""The tasks of cut, one per tile, made from the tables of a plan when they are needed."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from spectralearth_build.archive.presence import PresenceCheck
from spectralearth_build.archive.unpack_cache import UnpackCache
from spectralearth_build.store.planned import Planned
from spectralearth_build.store.planned_patches import PlannedPatch
from spectralearth_build.store.planned_tiles import SourceTile


@dataclass(frozen=True)
class TileTask:
    """Everything needed to cut the patches of one tile."""

    plans: Mapping[int, str]
    """Id of the generation of each shard."""
    codec: str
    """Name of the codec preset."""
    shard_rows: int
    """Number of rows per shard."""
    tile_id: str
    """The tile that provides most pixels of each patch."""
    sources: Mapping[str, SourceTile]
    """This tile and the neighbours that its patches reach into, by id."""
    shards: Mapping[int, tuple[PlannedPatch, ...]]
    """Patches by shard, in order of rows."""
    whole: frozenset[str] = frozenset()
    """Tiles to decode completely, to find the pixels that scan did not check: this one, and neighbours that no other
    task decodes."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Class of the error of each neighbour that is damaged, although the part that is needed may be readable."""
    threads: int = 1
    """Number of threads that decode and encode."""
    unpack_cache: UnpackCache | None = None
    """Cache of unpacked archives that the tasks of a run share."""
    presence: PresenceCheck = field(default_factory=PresenceCheck)
    """Files that must be readable before a patch is given up."""


@dataclass(frozen=True)
class Tasks(Mapping[str, tuple[Path, Path, TileTask]]):
    """Arguments of `cut_tile` (and of its counterpart in verify) by tile, each made on request."""

    archive: Path
    """Folder of the products."""
    dataset: Path
    """The dataset."""
    planned: Planned
    """The plan."""
    shards: Mapping[str, list[int]]
    """Shards to cut, by tile."""
    threads: int = 1
    """Number of threads per task."""
    unpack_cache: UnpackCache | None = None
    """Cache of unpacked archives that tasks share."""
    presence: PresenceCheck = field(default_factory=PresenceCheck)
    """Files that must be readable before a patch is given up."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Class of the error of each tile that no patch may use."""
    judged: Container[str] | None = None
    """Tiles that only their own tasks judge, see `second_look.judged`; None: all that have patches."""

    def __getitem__(self, tile_id: str) -> tuple[Path, Path, TileTask]:
        task = task_of(self.planned, tile_id, self.shards[tile_id], self.judged)
        unpack_cache = (
            self.unpack_cache.only([source.path for source in task.sources.values()])
            if self.unpack_cache
            else None
        )
        return (
            self.archive,
            self.dataset,
            replace(
                task,
                refused={name: self.refused[name] for name in task.sources if name in self.refused},
                threads=self.threads,
                unpack_cache=unpack_cache,
                presence=self.presence,
            ),
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self.shards)

    def __len__(self) -> int:
        return len(self.shards)


def task_of(
    planned: Planned, tile_id: str, shards: list[int], judged: Container[str] | None = None
) -> TileTask:
    """Return the task that cuts the given shards of a tile; for ``judged`` see `Tasks`."""
    judged = planned.shards_by_tile if judged is None else judged
    patches = {shard: planned.live.of_shard(shard) for shard in shards}
    needed = {name for group in patches.values() for patch in group for name in patch.sources}
    return TileTask(
        plans={shard: planned.plan_of(shard) for shard in shards},
        codec=planned.codec,
        shard_rows=planned.shard_rows,
        tile_id=tile_id,
        sources={name: planned.able[name] for name in sorted(needed)},
        shards=patches,
        whole=frozenset(name for name in needed if name == tile_id or name not in judged),
    )
