"""Make, check, export and import the splits of a dataset folder: read tables, write splits.parquet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from spectralearth_build.errors import UsageError
from spectralearth_build.files import require_writable, write_bytes
from spectralearth_build.split.check import Leaks, leaks
from spectralearth_build.split.links import Codes, Counts, Links, links_of
from spectralearth_build.split.lists import import_list, parts_of, written_lists
from spectralearth_build.split.make import codes, split
from spectralearth_build.split.recipe import FRACTIONS, Recipe, read_recipe, read_splits, write_splits
from spectralearth_build.split.strata import strata
from spectralearth_build.tables import LOCATIONS, PATCHES, SPLITS, TILES

_PATCHES = ["patch_id", "location_id", "tile_id", "sources", "datatake", "acquired", "status"]
_LOCATIONS = ["location_id", "epsg", "lattice_col", "lattice_row", "component"]
_TILES = ["tile_id", "eligible", "geometry"]


@dataclass(frozen=True, eq=False)
class Outcome:
    """The parts of a dataset."""

    links: Links
    parts: list[str]
    part: Codes
    """Part of each patch of the links; -1 for none."""
    leaks: Leaks
    strata: tuple[list[str], Counts]
    """Names and membership, from `strata.strata`."""
    path: Path | None = None
    """The file that was written, if any."""
    strange: int = 0
    """Number of patches in the imported table that are not in the dataset."""
    unassigned: int = 0
    """Number of patches of the dataset without an assignment."""


def split_dataset(folder: Path, recipe: Recipe, anew: bool = False, whole: bool = False) -> Outcome:
    """Make the splits of a dataset, or extend those that it has, and write them.

    Args:
        folder: the dataset.
        recipe: the settings of the split.
        anew: ignore earlier assignments.
        whole: refuse to divide a group that is so large that too little is left for other parts.

    Raises:
        UsageError: the split cannot be made, or would leak.
    """
    before = None if anew else read_splits(folder)
    links = links_in(folder, recipe.buffer_km)
    kinds = strata(links, recipe.stratify)
    made = split(links, recipe, kinds, before, whole)
    parts = list(recipe.fractions)
    part = codes(made["split"], parts)
    path = write_splits(folder, made, recipe)
    return Outcome(links, parts, part=part, leaks=leaks(links.ties, part, parts), strata=kinds, path=path)


def check_dataset(folder: Path, buffer_km: float | None = None, whole: bool = False) -> Outcome:
    """Find leaks between the parts of a dataset.

    Args:
        folder: the dataset.
        buffer_km: ground closer than this is a leak; None for the value in the recipe of the split.
        whole: use the components of the tables, including tiles that have no patch in any part.

    Raises:
        UsageError: the dataset has no splits.
    """
    splits, recipe = _splits(folder), read_recipe(folder) or Recipe(FRACTIONS)
    links = links_in(folder, recipe.buffer_km if buffer_km is None else buffer_km)
    named = splits.drop_duplicates("patch_id").set_index("patch_id")["split"]
    mine = named.reindex(links.patches["patch_id"])
    parts = parts_of(splits["split"])
    part = codes(mine, parts)
    found = leaks(links.ties, part, parts, whole)
    return Outcome(links, parts, part, found, strata(links, ()), unassigned=int(mine.isna().sum()))


def import_split(folder: Path, file: Path, recipe: Recipe) -> Outcome:
    """Import parts from a table of patch_id and split, unless they leak.

    Args:
        folder: the dataset.
        file: the table.
        recipe: its buffer is used; the fractions come from the table.

    Returns:
        The parts; nothing was written (``path`` is None) if they leak.
    """
    links = links_in(folder, recipe.buffer_km)
    splits, strange = import_list(file, links)
    parts = parts_of(splits["split"])
    part = codes(splits["split"], parts)
    found = leaks(links.ties, part, parts)
    outcome = Outcome(links, parts, part, found, strata(links, ()), strange=strange)
    if found:
        return outcome
    sizes = {name: float((part == k).sum() / (part >= 0).sum()) for k, name in enumerate(parts)}
    return replace(outcome, path=write_splits(folder, splits, replace(recipe, fractions=sizes)))


def export_split(folder: Path, target: Path) -> list[Path]:
    """Write the splits of a dataset as files to share; returns their paths."""
    splits = _splits(folder)
    require_writable(target)
    patches = PATCHES.read(folder, ["patch_id", "location_id", "tile_id", "status"])
    files = written_lists(patches, splits, read_recipe(folder))
    for name, data in files.items():
        write_bytes(target / name, data)
    return [target / name for name in files]


def links_in(folder: Path, buffer_km: float) -> Links:
    """All ties between the patches of a dataset."""
    patches, locations = PATCHES.read(folder, _PATCHES), LOCATIONS.read(folder, _LOCATIONS)
    return links_of(patches, locations, TILES.read(folder, _TILES), buffer_km)


def _splits(folder: Path) -> pd.DataFrame:
    splits = read_splits(folder)
    if splits is None:
        raise UsageError(f"There is no {SPLITS.file}.", folder, "Run `split` first.")
    return splits
