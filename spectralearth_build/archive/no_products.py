"""Refuse archives without a usable product: say what was found, why it is not used, and what to do."""

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
    """Refuse an archive that is missing or empty, such as the folder of a disk that is not mounted.

    Args:
        archive: folder of the products.
        dataset: the dataset; if any shard of it is cut, the archive once had products.

    Raises:
        UsageError: it is not a folder, or is empty.
        ArchiveError: the same, if the archive once had products.
    """
    if plan_in_use(dataset):
        require_archive(archive)
    if not archive.is_dir():
        raise UsageError("The archive is not a folder.", archive, "Give the folder of the products.")
    with os.scandir(archive) as entries:
        if next(entries, None) is None:
            raise NothingFoundError(
                "The archive is empty.",
                archive,
                "Check that it is the right folder, and whether its disk is mounted.",
            )


def refuse_gone(tiles: Collection[str], found: Collection[str], archive: Path, listed: bool) -> None:
    """Refuse an archive that lacks tiles from which a dataset was built, before anything is read.

    Args:
        tiles: ids of the tiles of the dataset.
        found: ids of the tiles of the archive.
        archive: folder of the archive.
        listed: whether a tile list was given.

    Raises:
        PlanChangedError: some tiles are missing.
    """
    if gone := sorted(set(tiles) - set(found)):
        there = " or not on the tile list" if listed else ""
        raise PlanChangedError(
            f"The dataset was cut from {counted(len(tiles), 'tile')}, of which {len(gone)} "
            f"{'is' if len(gone) == 1 else 'are'} missing{there}: tiles gone: {_some(gone)}.",
            archive,
            "Check that the archive is mounted. Give an archive that has the old and the new tiles, or a new dataset "
            "folder.",
        )


def refuse_unlisted(listed: Collection[Listed], there: Collection[ProductName], left: int, path: str) -> None:
    """Refuse a tile list none of whose tiles is in the archive.

    Args:
        listed: lines of the list.
        there: names of all products in the archive.
        left: number of products that are on the list.
        path: file of the list.

    Raises:
        NothingFoundError: no product is on the list.
    """
    if left == 0:
        lines = [f"{line.tile_id} {line.version}".rstrip() for line in listed]
        tiles = sorted({name.tile_id for name in there})
        raise NothingFoundError(
            f"The archive has none of the {counted(len(lines), 'tile')} on this list. The list begins with "
            f"{_some(lines) or 'nothing'}; the archive has {_some(tiles) or 'no EnMAP products'}.",
            path,
            "Use a tile list for this archive (--manifest FILE), or none.",
        )


def refuse_unusable(archive: Path, tiles: pd.DataFrame) -> None:
    """Refuse an archive without any sound product.

    Args:
        archive: folder of the archive.
        tiles: the tile table.

    Raises:
        NothingFoundError: there is none; the message has counts and the first reasons.
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
            "Give the folder of the products: folders, .zip or .tar.gz with names such as "
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
        "Add L2A products as delivered, then run the same command again.",
    )


def _some(names: Collection[str]) -> str:
    more = f" and {len(names) - _EXAMPLES} more" if len(names) > _EXAMPLES else ""
    return ", ".join(list(names)[:_EXAMPLES]) + more
