"""plan.json: what a plan depends on, how the dataset grew, and what cutting will cost."""

from __future__ import annotations

import json
from bisect import bisect
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypedDict

from spectralearth_build.errors import DamagedError


class Inputs(TypedDict):
    """What a plan depends on."""

    settings: dict[str, Any]
    """The settings that shape it, by dotted name."""
    tiles: dict[str, list[str]]
    """Of each tile that could be used, its product and the product's fingerprint."""


@dataclass(frozen=True)
class Generation:
    """What a dataset gained at a time: all that its first plan gave, or what it grew by."""

    id: str
    """SHA-256 of inputs and rows, of this generation and those before; commit records and the manifest bear it."""
    first_shard: int
    """Number of its first shard."""
    shards: int = 0
    """How many shards it added."""
    new_tiles: tuple[str, ...] = ()
    """Tiles that were new, by name."""
    replaced_tiles: tuple[str, ...] = ()
    """Tiles that had other content or another version before."""
    patches: int = 0
    """Patches that were planned."""
    retired: int = 0
    """Patches of earlier generations that were cut again."""
    locations: int = 0
    """New locations."""
    series: int = 0
    """Earlier locations that gained dates."""

    @property
    def stop_shard(self) -> int:
        """One past its last shard."""
        return self.first_shard + self.shards


@dataclass(frozen=True)
class Estimate:
    """What cutting costs: sizes in bytes, time in seconds."""

    raw_bytes: int
    """All patches, uncompressed."""
    stored_bytes: int
    """All patches as the codec will leave them, about."""
    worker_bytes: int
    """Most memory that one worker will need."""
    core_seconds: float
    """Time to cut with one worker, about."""


@dataclass(frozen=True)
class PlanDocument:
    """A plan in numbers; its rows are in the tables."""

    id: str
    """That of its last generation."""
    inputs: Inputs
    """What it depends on. Plans of earlier versions lack settings that did not exist then."""
    generations: tuple[Generation, ...]
    """How the dataset grew, oldest first; at least one."""
    counts: Mapping[str, Any] = field(default_factory=dict)
    """tiles_used, components, tuples, locations, patches and locations_by_dates."""
    estimate: Estimate | None = None
    """Of all that was not written when the plan was made."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of all generations, oldest first; tables bear them."""
        return tuple(generation.id for generation in self.generations)

    def id_of(self, shard: int) -> str:
        """Id of the generation that a shard came with; its commit record bears it."""
        place = bisect([generation.first_shard for generation in self.generations], shard) - 1
        return self.generations[max(0, place)].id

    @property
    def shards(self) -> int:
        """How many shards are planned."""
        return self.generations[-1].stop_shard

    def with_inputs(self, inputs: Inputs) -> PlanDocument:
        """The same with other inputs, as versions that knew more or fewer settings say them."""
        return replace(self, inputs=inputs)

    def document(self) -> dict[str, Any]:
        """What JSON says of it."""
        return {**asdict(self), "estimate": asdict(self.estimate) if self.estimate else {}}

    def encode(self) -> bytes:
        """The file's bytes."""
        return json.dumps(self.document(), indent=1, sort_keys=True).encode()

    @classmethod
    def decode(cls, data: bytes) -> PlanDocument:
        """Read the file's bytes.

        Raises:
            ValueError: they are no plan; it says what they lack.
        """
        try:
            found = json.loads(data)
            tiles = {tile: [product, mark] for tile, (product, mark) in found["inputs"]["tiles"].items()}
            inputs = Inputs(settings=dict(found["inputs"]["settings"]), tiles=tiles)
            grown = tuple(_generation(each) for each in found["generations"])
            estimate = Estimate(**found["estimate"]) if found.get("estimate") else None
            if not grown:
                raise TypeError("it has no generations")
            return cls(str(found["id"]), inputs, grown, dict(found.get("counts", {})), estimate)
        except (LookupError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"it is no plan ({error!r})") from error

    @classmethod
    def read(cls, path: Path) -> PlanDocument:
        """Read a plan.

        Raises:
            OSError: there is none, or it cannot be read.
            DamagedError: it is none; says what it lacks.
        """
        try:
            return cls.decode(path.read_bytes())
        except ValueError as error:
            raise DamagedError(f"It cannot be read: {error}.", path) from error

    @classmethod
    def readable(cls, path: Path) -> PlanDocument | None:
        """Read a plan; None if there is none that can be read."""
        try:
            return cls.read(path)
        except (OSError, DamagedError):
            return None


def _generation(found: Mapping[str, Any]) -> Generation:
    return Generation(
        id=str(found["id"]),
        first_shard=int(found["first_shard"]),
        shards=int(found.get("shards", 0)),
        new_tiles=tuple(found.get("new_tiles", ())),
        replaced_tiles=tuple(found.get("replaced_tiles", ())),
        patches=int(found.get("patches", 0)),
        retired=int(found.get("retired", 0)),
        locations=int(found.get("locations", 0)),
        series=int(found.get("series", 0)),
    )
