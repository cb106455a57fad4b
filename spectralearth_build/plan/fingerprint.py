"""The inputs that a plan depends on, so that changes between two runs are detected and reported."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from spectralearth_build.config import Config, ScanConfig
from spectralearth_build.plan.region_file import fingerprint_of, read_region
from spectralearth_build.plan_document import Inputs
from spectralearth_build.texts import changes

MATTERS = ("quality", "plan", "store")
"""Sections of the configuration that determine what is written. The settings of ``scan`` are part of the tiles'
fingerprints, except `QUANTITY`, which concerns the whole dataset."""
QUANTITY = "scan.correction"
"""The setting for the quantity of the dataset. Plans of versions without this setting have land-mode products."""
_HASH = 64
"""Digits of a fingerprint before those of samples of the image."""
FREE = ("plan.replace_versions",)
"""Settings of these sections that may differ from one build to the next."""


def inputs_of(config: Config, tiles: pd.DataFrame) -> Inputs:
    """Settings, and the product of each eligible tile with its fingerprint.

    Args:
        config: all settings; the region file counts by its content, not by its path.
        tiles: the tile table.
    """
    eligible = tiles[tiles["eligible"].astype(bool)]
    known = zip(eligible["product_id"], eligible["fingerprint"].fillna("").str.slice(0, 80), strict=True)
    tiles = dict(sorted(zip(eligible["tile_id"], map(list, known), strict=True)))
    return Inputs(settings=settings_of(config), tiles=tiles)


def in_form_of(before: Inputs, inputs: Inputs) -> Inputs:
    """The inputs with the fingerprints of an earlier record where it has them without samples of the image.

    So did versions write them for tiles of which cut checks the pixels.
    """
    had = before["tiles"]
    tiles = {
        tile: had[tile] if tile in had and _without_samples(had[tile], now) else now
        for tile, now in inputs["tiles"].items()
    }
    return Inputs(settings=inputs["settings"], tiles=tiles)


def _without_samples(before: list[str], now: list[str]) -> bool:
    return before[0] == now[0] and len(before[1]) == _HASH and now[1][:_HASH] == before[1]


def with_defaults(inputs: Inputs) -> Inputs:
    """Add settings that plans of earlier versions lack to a plan's record, in place."""
    return Inputs(settings={QUANTITY: ScanConfig().correction, **inputs["settings"]}, tiles=inputs["tiles"])


def without_defaults(inputs: Inputs) -> Inputs:
    """The inputs of a plan as earlier versions recorded them, without what `with_defaults` adds."""
    added = {QUANTITY: ScanConfig().correction}.items()
    settings = {key: value for key, value in inputs["settings"].items() if (key, value) not in added}
    return Inputs(settings=settings, tiles=inputs["tiles"])


def settings_of(config: Config) -> dict[str, Any]:
    """The settings that determine a plan, by dotted name; the region file as a hash of its content.

    Raises:
        ConfigError: the region file cannot be read.
    """
    found = {
        f"{section}.{name}": value
        for section in MATTERS
        for name, value in getattr(config, section).model_dump(mode="json").items()
        if f"{section}.{name}" not in FREE
    }
    region = fingerprint_of(read_region(config.plan.region))
    return found | {QUANTITY: config.scan.correction, "plan.region": region}


def identity(before: str, inputs: Inputs, patches: Iterable[pa.Table]) -> str:
    """The id of a generation, which also depends on all generations before it.

    Args:
        before: id of the generation before; empty if there is none.
        inputs: inputs that were added.
        patches: the planned patches of the generation, in parts.

    Returns:
        SHA-256 of a line of JSON with ``before`` and ``inputs``, then a line for each patch with its id, row and
        sources. Defaults that earlier versions did not record are left out, so that the same plan keeps its id.
    """
    told = [before, without_defaults(inputs)]
    digest = hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode())
    for part in patches:
        for batch in part.select(["patch_id", "store_row", "sources"]).to_batches(max_chunksize=1 << 16):
            name, row, sources = batch.columns
            line = [name, row.cast(pa.string()), pc.binary_join(sources, " ")]
            ended = pc.binary_join_element_wise("\n", pc.binary_join_element_wise(*line, "\t"), "")
            digest.update(pc.binary_join(pa.ListArray.from_arrays([0, len(ended)], ended), "")[0].as_buffer())
    return digest.hexdigest()


def difference(old: Inputs, new: Inputs) -> list[str]:
    """The changes, one per line; long lists of tiles are shortened."""
    lines = changes(old["settings"], new["settings"])
    change = tile_changes(old, new)
    for word, names in (
        ("new", change.new),
        ("gone", change.gone),
        ("changed", change.changed),
        ("of another version", change.replaced),
    ):
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            lines.append(f"tiles {word}: {', '.join(names[:3])}{more}")
    return lines


@dataclass(frozen=True)
class TileChanges:
    """Ids of tiles that differ between two inputs, sorted."""

    new: tuple[str, ...]
    gone: tuple[str, ...]
    changed: tuple[str, ...]
    """The same product with different content."""
    replaced: tuple[str, ...]
    """A different product of the same tile."""


def tile_changes(old: Inputs, new: Inputs) -> TileChanges:
    """The differences between the eligible tiles of two inputs."""
    had, has = old["tiles"], new["tiles"]
    other = sorted(tile for tile in had.keys() & has.keys() if had[tile] != has[tile])
    return TileChanges(
        tuple(sorted(has.keys() - had.keys())),
        tuple(sorted(had.keys() - has.keys())),
        tuple(tile for tile in other if had[tile][0] == has[tile][0]),
        tuple(tile for tile in other if had[tile][0] != has[tile][0]),
    )
