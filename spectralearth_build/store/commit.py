"""Commit records, the only proof that a shard is complete: one small file per shard, written once it is durable."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
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
    """Id of the patch."""
    reason: str
    """The reason."""


@dataclass(frozen=True)
class Commit:
    """The expected shard file, and its contents."""

    plan: str
    """Id of the generation of the plan that it was cut for."""
    shard: int
    """Number of the shard."""
    tile_id: str
    """The tile whose rows it contains."""
    rows: tuple[int, ...]
    """Store rows that were written, ascending."""
    skipped: tuple[Skipped, ...]
    """Planned patches that were not written."""
    size: int
    """Size of the shard file in bytes."""
    sha256: str
    """SHA-256 of the shard file."""
    statistics: BandStatistics
    """Statistics of the written patches."""
    pixels: tuple[int, ...] = ()
    """Checksum of the pixels of each row, computed before encoding; empty in records of earlier versions."""

    @property
    def name(self) -> str:
        """Path of the record below the dataset."""
        return commit_name(self.shard)

    def encode(self) -> bytes:
        """Return the content of the record file."""
        document = {**vars(self), "bytes": self.size, "statistics": self.statistics.document()}
        del document["size"]
        if not self.pixels:
            del document["pixels"]
        document["skipped"] = [vars(skipped) for skipped in self.skipped]
        return json_bytes(document)

    @property
    def checksums(self) -> dict[int, int]:
        """Return the checksums of pixels by row, if known."""
        return dict(zip(self.rows, self.pixels, strict=False))

    def write(self, dataset: Path) -> None:
        """Write the record, atomically and durably."""
        write_bytes(dataset / self.name, self.encode())

    def holds(self, dataset: Path) -> bool:
        """Return whether the shard file exists with the right size."""
        path = shard_path(dataset, self.shard)
        return path.is_file() and path.stat().st_size == self.size


def decode(data: bytes) -> Commit:
    """Parse a record.

    Raises:
        ValueError: It is not a commit record.
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
    """Return the records of all existing shard files, by shard.

    Records that cannot be read, or whose shard is missing or has another size, are left out. Their shards are cut
    again.

    Args:
        dataset: the dataset.
        plan_of: returns the plan id that the record of a shard must have.

    Raises:
        PlanChangedError: A record belongs to another plan.
    """
    return {commit.shard: commit for commit, _ in records(dataset, plan_of)}


def records(dataset: Path, plan_of: Callable[[int], str]) -> Iterator[tuple[Commit, bytes]]:
    """Yield what `read_all` returns one by one, in order of shards, each with the content of its file.

    Raises:
        PlanChangedError: A record belongs to another plan.
    """
    for path in commit_files(dataset):
        try:
            data = path.read_bytes()
            commit = decode(data)
        except ValueError:
            continue
        if commit.plan != plan_of(commit.shard):
            raise PlanChangedError("The folder contains patches that were cut for another plan.", path)
        if path.name == Path(commit.name).name and commit.holds(dataset):
            yield commit, data


def json_bytes(document: Any) -> bytes:  # noqa: ANN401
    """Encode as compact JSON with sorted keys and a final line break."""
    return (json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False) + "\n").encode()
