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
    """The settings that affect it, by dotted name."""
    tiles: dict[str, list[str]]
    """Product and fingerprint of each usable tile."""


@dataclass(frozen=True)
class Generation:
    """One generation of a dataset: its first plan, or one growth."""

    id: str
    """SHA-256 of inputs and rows, of this generation and all before it. Commit records and the manifest contain it."""
    first_shard: int
    """Number of its first shard."""
    shards: int = 0
    """How many shards it added."""
    new_tiles: tuple[str, ...] = ()
    """Names of the new tiles."""
    replaced_tiles: tuple[str, ...] = ()
    """Names of the tiles whose content or version changed."""
    patches: int = 0
    """Number of planned patches."""
    retired: int = 0
    """Number of patches of earlier generations that were replaced."""
    locations: int = 0
    """Number of new locations."""
    series: int = 0
    """Number of earlier locations that gained dates."""

    @property
    def stop_shard(self) -> int:
        """One past its last shard."""
        return self.first_shard + self.shards


@dataclass(frozen=True)
class Estimate:
    """Estimated cost of cutting: sizes in bytes, time in seconds."""

    raw_bytes: int
    """All patches, uncompressed."""
    stored_bytes: int
    """All patches, encoded."""
    worker_bytes: int
    """Peak memory of one worker."""
    core_seconds: float
    """Time to cut with one worker."""


@dataclass(frozen=True)
class PlanDocument:
    """The content of plan.json. Locations and patches are in the tables."""

    id: str
    """Id of its last generation."""
    inputs: Inputs
    """What it depends on. Plans of earlier versions lack newer settings."""
    generations: tuple[Generation, ...]
    """All generations, oldest first; at least one."""
    counts: Mapping[str, Any] = field(default_factory=dict)
    """tiles_used, components, tuples, locations, patches and locations_by_dates."""
    estimate: Estimate | None = None
    """Cost of what was not yet written when the plan was made."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of all generations, oldest first. The tables contain them."""
        return tuple(generation.id for generation in self.generations)

    def id_of(self, shard: int) -> str:
        """Return the id of the generation that added a shard. Its commit record contains it."""
        place = bisect([generation.first_shard for generation in self.generations], shard) - 1
        return self.generations[max(0, place)].id

    @property
    def shards(self) -> int:
        """Number of planned shards."""
        return self.generations[-1].stop_shard

    def with_inputs(self, inputs: Inputs) -> PlanDocument:
        """Return a copy with other inputs, as written by versions with more or fewer settings."""
        return replace(self, inputs=inputs)

    def document(self) -> dict[str, Any]:
        """Return the plan as a JSON object."""
        return {**asdict(self), "estimate": asdict(self.estimate) if self.estimate else {}}

    def encode(self) -> bytes:
        """Return the content of the file."""
        return json.dumps(self.document(), indent=1, sort_keys=True).encode()

    @classmethod
    def decode(cls, data: bytes) -> PlanDocument:
        """Parse the content of the file.

        Raises:
            ValueError: This is not a plan; the message says what is missing.
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
        except (LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise ValueError(f"it is not a plan ({error!r})") from error

    @classmethod
    def read(cls, path: Path) -> PlanDocument:
        """Read a plan.

        Raises:
            OSError: The file does not exist or cannot be read.
            DamagedError: The file is not a plan.
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
