"""What a plan depends on, so that a change between two runs is noticed and named."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from spectralearth_build.config import Config, ScanConfig
from spectralearth_build.plan.region_file import fingerprint_of, read_region
from spectralearth_build.texts import changes

MATTERS = ("quality", "plan", "store")
"""Sections of the configuration that decide what is written. ``scan`` speaks through the tiles' fingerprints, but for
what is said of the whole dataset."""
QUANTITY = "scan.correction"
"""The setting that says which quantity the dataset holds. Plans of versions before it hold land-mode products."""
FREE = ("plan.replace_versions",)
"""Settings of these sections that may differ from one build to the next."""

Inputs = dict[str, dict[str, Any]]


def inputs_of(config: Config, tiles: pd.DataFrame) -> Inputs:
    """Settings, and of each eligible tile the product and its fingerprint.

    Args:
        config: all settings; of the region file, the content counts, not the path.
        tiles: the tile table.
    """
    eligible = tiles[tiles["eligible"].astype(bool)]
    known = zip(eligible["product_id"], eligible["fingerprint"].fillna("").str.slice(0, 80), strict=True)
    return {
        "settings": settings_of(config),
        "tiles": dict(sorted(zip(eligible["tile_id"], map(list, known), strict=True))),
    }


def with_defaults(record: dict[str, Any]) -> dict[str, Any]:
    """A plan's record with the settings that plans of earlier versions did not have, changed in place."""
    record["inputs"]["settings"].setdefault(QUANTITY, ScanConfig().correction)
    return record


def without_defaults(inputs: Inputs) -> Inputs:
    """The inputs of a plan as earlier versions recorded them: without what `with_defaults` adds."""
    added = {QUANTITY: ScanConfig().correction}.items()
    settings = {key: value for key, value in inputs["settings"].items() if (key, value) not in added}
    return {**inputs, "settings": settings}


def settings_of(config: Config) -> dict[str, Any]:
    """The settings that shape a plan, by dotted name; of the region file, a hash of its content.

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


def identity(before: str, inputs: Inputs, patches: pa.Table) -> str:
    """The name of a generation, and of all up to it.

    Args:
        before: the name of the generation before; empty if there is none.
        inputs: what was added.
        patches: the patches that it will write.

    Returns:
        SHA-256 of all that: of a line of JSON, then of a line for each patch with its name, row and sources. What
        plans of earlier versions meant without saying it is left out, so that the same plan keeps its name.
    """
    told = [before, without_defaults(inputs)]
    digest = hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode())
    for batch in patches.select(["patch_id", "store_row", "sources"]).to_batches(max_chunksize=1 << 16):
        name, row, sources = batch.columns
        lines = pc.binary_join_element_wise(name, row.cast(pa.string()), pc.binary_join(sources, " "), "\t")
        digest.update("".join(f"\n{line}" for line in lines.to_pylist()).encode())
    return digest.hexdigest()


def difference(old: Inputs, new: Inputs) -> list[str]:
    """What changed, one line each; long lists of tiles are cut."""
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
    """Names of tiles, sorted."""

    new: tuple[str, ...]
    gone: tuple[str, ...]
    changed: tuple[str, ...]
    """The same product with another content."""
    replaced: tuple[str, ...]
    """Another product of the same tile."""


def tile_changes(old: Inputs, new: Inputs) -> TileChanges:
    """How the usable tiles differ."""
    had, has = old["tiles"], new["tiles"]
    other = sorted(tile for tile in had.keys() & has.keys() if had[tile] != has[tile])
    return TileChanges(
        tuple(sorted(has.keys() - had.keys())),
        tuple(sorted(had.keys() - has.keys())),
        tuple(tile for tile in other if had[tile][0] == has[tile][0]),
        tuple(tile for tile in other if had[tile][0] != has[tile][0]),
    )
