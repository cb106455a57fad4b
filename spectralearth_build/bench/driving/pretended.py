"""The cut of a simulated dataset. All is real but the work of a task, which sleeps and writes a shard of one byte."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from spectralearth_build.bench.driving.simulated import SHARD, commit_of, settings_used
from spectralearth_build.cluster.task import Executor, Failure, Look, Prefixed, WrappedExecutor
from spectralearth_build.config import Config, RunConfig
from spectralearth_build.cutting.cut import CutResult, cut
from spectralearth_build.cutting.cut_tile import TileCut
from spectralearth_build.cutting.sources import Decoded
from spectralearth_build.cutting.task import TileTask
from spectralearth_build.files import write_bytes
from spectralearth_build.layout import shard_path
from spectralearth_build.store.planned import load_plan

T = TypeVar("T")


def pretend(seconds: float, archive: Path, dataset: Path, task: TileTask) -> TileCut:
    """Stand in for `cut_tile`: sleep, then write each shard and its record, as durably as ever."""
    time.sleep(seconds)
    for shard in task.shards:
        write_bytes(shard_path(dataset, shard), SHARD)
        commit_of(shard).write(dataset)
    return TileCut(sum(map(len, task.shards.values())), Decoded())


@dataclass(frozen=True)
class Pretending(WrappedExecutor):
    """Runs `pretend` with the arguments of each task; see `Executor`."""

    seconds: float

    def seeing(self, look: Look) -> Pretending:
        """See `Executor.seeing`."""
        return Pretending(self.inner.seeing(look), self.seconds)

    def run(
        self, stage: str, function: Callable[..., T], tasks: Mapping[str, tuple[Any, ...]]
    ) -> Iterator[tuple[str, T | Failure]]:
        """See `Executor.run`."""
        yield from self.inner.run(stage, pretend, Prefixed((self.seconds,), tasks))  # type: ignore[misc]


def pretend_archive(archive: Path, dataset: Path) -> Path:
    """Make an archive in which the first and last products of a simulated dataset have a file each."""
    paths = sorted(load_plan(dataset).able.paths)
    for path in (paths[0], paths[-1]):
        (archive / path).mkdir(parents=True, exist_ok=True)
        (archive / path / "product.txt").write_text(path, encoding="ascii")
    return archive


def pretend_cut(
    archive: Path, dataset: Path, executor: Executor, seconds: float, run: RunConfig
) -> CutResult:
    """Run the stage cut with tasks that take ``seconds``."""
    config: Config = settings_used().model_copy(update={"run": run})
    return cut(archive, dataset, config, Pretending(executor, seconds))
