"""Archives without a usable product: what was found, why it is not used, and what to do."""

from __future__ import annotations

import os
from collections.abc import Collection
from itertools import islice
from pathlib import Path

import pandas as pd

from spectralearth_build.archive.names import ProductName
from spectralearth_build.archive.presence import require_archive
from spectralearth_build.archive.tile_list import Listed
from spectralearth_build.errors import NothingFoundError, PlanChangedError, UsageError, printable
from spectralearth_build.journal import plan_in_use
from spectralearth_build.texts import counted

_EXAMPLES = 3


def refuse_empty(archive: Path, dataset: Path) -> None:
    """Refuse an archive that is not there or holds nothing, such as the folder of a disk that is not mounted.

    Args:
        archive: folder of the products.
        dataset: the dataset; if something of it was cut, there were products once.

    Raises:
        UsageError: it is no folder, or empty.
        ArchiveError: the same, where there were products once.
    """
    if plan_in_use(dataset):
        require_archive(archive)
    if not archive.is_dir():
        raise UsageError("The archive is not a folder.", archive, "Give the folder that holds the products.")
    with os.scandir(archive) as entries:
        if next(entries, None) is None:
            raise NothingFoundError(
                "The archive is empty.",
                archive,
                "Check that it is the right folder and that its disk is mounted.",
            )


def refuse_gone(tiles: Collection[str], found: Collection[str], archive: Path, listed: bool) -> None:
    """Refuse an archive without tiles that a dataset was built from, before anything is read.

    Args:
        tiles: tile_id of the tiles that the dataset has.
        found: those of the archive.
        archive: its folder.
        listed: whether a tile list was given.

    Raises:
        PlanChangedError: some are not there.
    """
    if gone := sorted(set(tiles) - set(found)):
        there = " or not on the tile list" if listed else ""
        raise PlanChangedError(
            f"The dataset was cut from {counted(len(tiles), 'tile')}, of which {len(gone)} "
            f"{'is' if len(gone) == 1 else 'are'} not here{there}: tiles gone: {_some(gone)}.",
            archive,
            "Check that the archive is mounted. Give one that has the old and the new tiles, or choose a new dataset "
            "folder.",
        )


def refuse_unlisted(listed: Collection[Listed], there: Collection[ProductName], left: int, path: str) -> None:
    """Refuse a tile list of which nothing is in the archive.

    Args:
        listed: its lines.
        there: the names of all products of the archive.
        left: how many of them are on the list.
        path: the list.

    Raises:
        NothingFoundError: none are.
    """
    if left == 0:
        lines = [f"{line.tile_id} {line.version}".rstrip() for line in listed]
        tiles = sorted({name.tile_id for name in there})
        raise NothingFoundError(
            f"The archive has none of the {counted(len(lines), 'tile')} on this list. The list begins with "
            f"{_some(lines) or 'nothing'}; the archive has {_some(tiles) or 'no EnMAP products'}.",
            path,
            "Give the list of this archive, or none.",
        )


def refuse_unusable(archive: Path, tiles: pd.DataFrame) -> None:
    """Refuse an archive without any sound product.

    Args:
        archive: its folder.
        tiles: the tile table of all that was found.

    Raises:
        NothingFoundError: there is none; with the counts and the first reasons.
    """
    if tiles["eligible"].astype(bool).any():
        return
    if len(tiles) == 0:
        files = (file for _, _, names in os.walk(archive) for file in sorted(names))
        first = list(islice(files, 1000))
        many = "1000 files or more" if len(first) == 1000 else counted(len(first), "file")
        raise NothingFoundError(
            f"No EnMAP L2A product was found among {many}"
            f"{': ' + _some([printable(name, 80) for name in first]) if first else ''}.",
            archive,
            "Give the folder that holds the products: folders, .zip or .tar.gz with names such as "
            "ENMAP01-____L2A-DT0000001849_20220618T103245Z_001_V010402_20231108T103245Z.",
        )
    kinds = tiles["error_class"].where(tiles["error_class"] != "", tiles["status"]).value_counts()
    counts = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    reasons = tiles.drop_duplicates("error_class").head(_EXAMPLES)
    raise NothingFoundError(
        f"Found {counted(len(tiles), 'product')}, none of which can be used: {counts}. "
        + " ".join(
            reason if path in reason else f"{path}: {reason}"
            for path, reason in zip(reasons["path"], reasons["reason"], strict=True)
        ),
        archive,
        "Add L2A products as delivered, and run the same command again.",
    )


def _some(names: Collection[str]) -> str:
    more = f" and {len(names) - _EXAMPLES} more" if len(names) > _EXAMPLES else ""
    return ", ".join(list(names)[:_EXAMPLES]) + more
