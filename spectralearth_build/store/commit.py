"""Commit records: the only proof that a shard is complete. One small file per shard, written after it is durable."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spectralearth_build.errors import PlanChangedError
from spectralearth_build.files import write_bytes
from spectralearth_build.layout import commit_files, commit_name, shard_path
from spectralearth_build.store.statistics import BandStatistics


@dataclass(frozen=True)
class Skipped:
    """A planned patch that could not be written."""

    patch_id: str
    """Which."""
    reason: str
    """Why, in words."""


@dataclass(frozen=True)
class Commit:
    """What a shard file must be, and what it holds."""

    plan: str
    """Id of the plan's generation it was cut for."""
    shard: int
    """Number of the shard."""
    tile_id: str
    """The tile whose rows it holds."""
    rows: tuple[int, ...]
    """Store rows that were written, ascending."""
    skipped: tuple[Skipped, ...]
    """Planned patches that were not."""
    size: int
    """Bytes of the shard file."""
    sha256: str
    """Hash of the shard file."""
    statistics: BandStatistics
    """Of the written patches."""
    pixels: tuple[int, ...] = ()
    """Checksum of the pixels of each row as they were composed of their sources, before they were encoded; none in
    records of earlier versions."""

    @property
    def name(self) -> str:
        """Path of the record below the dataset."""
        return commit_name(self.shard)

    def encode(self) -> bytes:
        """The record's bytes."""
        document = {**vars(self), "bytes": self.size, "statistics": self.statistics.document()}
        del document["size"]
        if not self.pixels:
            del document["pixels"]
        document["skipped"] = [vars(skipped) for skipped in self.skipped]
        return json_bytes(document)

    @property
    def checksums(self) -> dict[int, int]:
        """Checksum of the pixels by row, if they are known."""
        return dict(zip(self.rows, self.pixels, strict=False))

    def write(self, dataset: Path) -> None:
        """Write the record, atomically and durably."""
        write_bytes(dataset / self.name, self.encode())

    def holds(self, dataset: Path) -> bool:
        """Whether the shard file is there, at its right size."""
        path = shard_path(dataset, self.shard)
        return path.is_file() and path.stat().st_size == self.size


def decode(data: bytes) -> Commit:
    """Read a record.

    Raises:
        ValueError: it is not one.
    """
    try:
        document = json.loads(data)
        return Commit(
            plan=str(document["plan"]),
            shard=int(document["shard"]),
            tile_id=str(document["tile_id"]),
            rows=tuple(map(int, document["rows"])),
            skipped=tuple(Skipped(**skipped) for skipped in document["skipped"]),
            size=int(document["bytes"]),
            sha256=str(document["sha256"]),
            statistics=BandStatistics.from_document(document["statistics"]),
            pixels=tuple(map(int, document.get("pixels", ()))),
        )
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"not a commit record ({error!r})") from error


def read_all(dataset: Path, plan_of: Callable[[int], str]) -> dict[int, Commit]:
    """The records of a dataset whose shard files are there, by shard.

    A record that cannot be read, or whose shard is missing or of another size, is no proof: it is left out, and
    the shard is cut again.

    Args:
        dataset: the dataset.
        plan_of: gives the id that the record of a shard must bear.

    Raises:
        PlanChangedError: a record belongs to another plan.
    """
    commits = {}
    for path in commit_files(dataset):
        try:
            commit = decode(path.read_bytes())
        except ValueError:
            continue
        if commit.plan != plan_of(commit.shard):
            raise PlanChangedError("Patches of another plan have been cut here.", path)
        if path.name == Path(commit.name).name and commit.holds(dataset):
            commits[commit.shard] = commit
    return commits


def json_bytes(document: Any) -> bytes:  # noqa: ANN401
    """Compact JSON with a stable order of keys and a line break at the end."""
    return (json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False) + "\n").encode()
