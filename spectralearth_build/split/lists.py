"""Splits as files to share: lists of ``location/tile.tif``, as published by SpectralEarth, and tables of patches."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from spectralearth_build.archive.names import datatake_of, parse_name
from spectralearth_build.errors import UsageError
from spectralearth_build.split.links import (
    BUFFER,
    DATATAKE,
    LIVE,
    LOCATION,
    TILE,
    Codes,
    Links,
    Tie,
    one_each,
    related,
)
from spectralearth_build.split.near import corners, near
from spectralearth_build.split.recipe import Recipe

CSV = "splits.csv"
_TILE = re.compile(r"DT(?P<datatake>\d{9,10})_(?:\d{8}T\d{6}Z?_)?(?P<tile>\d{3})(?!\d)", re.ASCII)
_WINDOW = re.compile(r"(?P<epsg>32[67]\d\d)_(?P<lattice_col>-?\d+)_(?P<lattice_row>-?\d+)", re.ASCII)


@dataclass(frozen=True, eq=False)
class Named:
    """Patches of lists, and the ties that follow from their names."""

    parts: tuple[str, ...]
    part: Codes
    """Part of each patch."""
    ties: dict[str, Tie]
    """Ties by kind; only kinds that follow from names."""
    unread: int
    """Number of patches whose name has no datatake; the whole name counts as their tile."""


def read_lists(files: Mapping[str, Path], buffer_km: float) -> Named:
    """Read one list per part.

    The folder is the location. If its name is epsg_col_row, as in datasets of this package, the ground is known too.
    Tile and datatake come from the file name: from a product name anywhere in it, or from the form DT0000001849_005.

    Args:
        files: lists by name of the part.
        buffer_km: ground closer than this is a tie.

    Raises:
        UsageError: a list cannot be read or has no patch, or a line is not ``location/tile.tif``.
    """
    lines = {part: _lines(file) for part, file in files.items()}
    names = [name for part in lines.values() for name in part]
    places = np.array([place for place, _ in names])
    told = [_tile(tile) for _, tile in names]
    ties = {LOCATION: one_each(places), TILE: one_each(np.array([tile for tile, _ in told]))}
    unread = sum(not datatake for _, datatake in told)
    if unread < len(told):
        ties[DATATAKE] = one_each(np.array([take or f"line {k}" for k, (_, take) in enumerate(told)]))
    windows = [_WINDOW.fullmatch(place) for place in np.unique(places).tolist()]
    if all(windows):
        frame = pd.DataFrame([window.groupdict() for window in windows if window]).astype(np.int64)
        pairs = near(corners(frame), 1000 * buffer_km)
        ties[BUFFER] = Tie(ties[LOCATION].members, related(pairs, len(frame)))
    part = np.repeat(np.arange(len(lines)), [len(part) for part in lines.values()])
    return Named(tuple(lines), part, ties, unread)


def written_lists(patches: pd.DataFrame, splits: pd.DataFrame, recipe: Recipe | None) -> dict[str, bytes]:
    """The files to share a split: a list for each part, and one table of all patches.

    Args:
        patches: patches.parquet.
        splits: the columns of `tables.SPLITS`.
        recipe: the recipe of the split, for the table's first line.
    """
    live = patches[patches["status"].isin(LIVE)]
    frame = live.merge(splits.loc[splits["split"] != "", ["patch_id", "split"]], on="patch_id")
    frame = frame.sort_values("patch_id")
    files = {
        f"{part}.txt": "".join(
            f"{place}/{tile}.tif\n" for place, tile in zip(rows["location_id"], rows["tile_id"], strict=True)
        )
        for part, rows in frame.groupby("split")
    }
    about = ""
    if recipe is not None:
        criteria = [name.partition("=")[0] for name in recipe.stratify]  # file paths stay private
        about = f"# {json.dumps(asdict(recipe) | {'stratify': criteria})}\n"
    files[CSV] = about + frame[["patch_id", "split"]].to_csv(index=False, lineterminator="\n")
    return {name: text.encode() for name, text in files.items()}


def import_list(file: Path, links: Links) -> tuple[pd.DataFrame, int]:
    """Apply a table of patch_id and split to a dataset.

    Returns:
        The columns of `tables.SPLITS`, and the number of patches in the table that the dataset lacks.

    Raises:
        UsageError: the file cannot be used, or names no patch of the dataset.
    """
    if not file.is_file():
        raise UsageError("There is no such file.", file)
    try:
        table = pd.read_csv(file, comment="#", dtype=str, keep_default_na=False)
    except ValueError as error:  # not a table, or not text; pandas raises subclasses
        remedy = "Give a table with the columns patch_id and split, as `split --export` writes it."
        raise UsageError(f"It cannot be read as CSV: {error}.", file, remedy) from error
    if not {"patch_id", "split"} <= set(table):
        raise UsageError("The table must have the columns patch_id and split.", file)
    if table["patch_id"].duplicated().any():
        raise UsageError(f"{table['patch_id'][table['patch_id'].duplicated()].iloc[0]} occurs twice.", file)
    known = table["patch_id"].isin(links.patches["patch_id"])
    if not known.any():
        raise UsageError("It names no patch of the dataset.", file)
    found = links.patches[["patch_id", "location_id"]].merge(table, on="patch_id", how="left")
    found["split"] = found["split"].fillna("")
    found["reason"] = np.where(found["split"] == "", f"Not in {file.name}.", "")
    return found[["patch_id", "location_id", "split", "reason"]], int((~known).sum())


def _lines(file: Path) -> list[tuple[str, str]]:
    """Location and file name, without suffix, of each line."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The list cannot be read: {error}.", file) from error
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        path = PurePosixPath(line.strip().replace("\\", "/"))
        if not line.strip() or line.startswith("#"):
            continue
        if len(path.parts) < 2:
            raise UsageError(f"Line {number} is '{line.strip()}', not location/tile.tif.", file)
        found.append((path.parent.name, re.sub(r"\.tiff?$", "", path.name, flags=re.IGNORECASE)))
    if not found:
        raise UsageError("The list has no patches.", file)
    return found


def _tile(text: str) -> tuple[str, str]:
    """Tile and datatake from a file name; if it has none, the name itself and an empty text."""
    product = parse_name(text)
    if product is not None:
        return product.tile_id, product.datatake
    match = _TILE.search(text)
    if match is None:
        return text, ""
    datatake = datatake_of(match["datatake"])
    return f"{datatake}_{match['tile']}", datatake


def parts_of(splits: pd.Series) -> list[str]:
    """Names of the parts: train, val and test first, others by name."""
    first = ("train", "val", "test")
    names = sorted(set(splits) - {""})
    return [*(name for name in first if name in names), *(name for name in names if name not in first)]
