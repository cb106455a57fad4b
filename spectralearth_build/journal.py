"""Replace the tables of a dataset together, and only after all checks have passed.

This module makes two guarantees. First, several files are replaced as one: after a crash, either all are old or all
are new. The new files are completed in a folder of their own. A list of them, written last, is the point of no
return: from then on, `recover` moves the remaining files into place.

Second, published files do not change. Once any shard of a dataset is cut, scan and plan write to ``work/next``, and
only publication, at the end of cut, moves their files into the dataset. So a build that is refused or stopped at any
earlier stage leaves the dataset unchanged.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spectralearth_build.errors import UsageError
from spectralearth_build.files import make_folder, move, remove, write_bytes
from spectralearth_build.layout import (
    MANIFEST,
    NEXT,
    PENDING,
    PENDING_LIST,
    PLAN,
    TILES,
    commit_files,
    committed_shards,
)
from spectralearth_build.plan_document import PlanDocument
from spectralearth_build.signals import raise_if_told


@contextmanager
def replaced_together(dataset: Path) -> Iterator[Path]:
    """Yield an empty folder for new files; on success, they replace the files of the same names in `table_folder`.

    Args:
        dataset: the dataset; call `recover` on it first.

    Raises:
        OutOfSpaceError: no space or quota exceeded; nothing was replaced.
        StoppedError: another run has taken over; nothing was replaced.
    """
    folder = dataset / PENDING
    shutil.rmtree(folder, ignore_errors=True)
    make_folder(folder)
    yield folder
    raise_if_told()
    names = sorted(path.name for path in folder.iterdir())
    write_bytes(dataset / PENDING_LIST, json.dumps(names).encode())
    recover(dataset)


def recover(dataset: Path) -> None:
    """Finish a replacement that was interrupted after its point of no return; discard one interrupted before."""
    folder, complete, target = dataset / PENDING, dataset / PENDING_LIST, table_folder(dataset)
    if complete.is_file():
        make_folder(target)
        for name in json.loads(complete.read_bytes()):
            if (folder / name).is_file():
                move(folder / name, target / name)
        remove(complete)
    shutil.rmtree(folder, ignore_errors=True)


def table_folder(dataset: Path) -> Path:
    """The folder where scan and plan write tables: the dataset or, once any shard is cut, its ``work/next``."""
    begun = (dataset / MANIFEST).is_file() or bool(commit_files(dataset))
    return dataset / NEXT if begun else dataset


def newest(dataset: Path, name: str) -> Path:
    """The newest file of a name that scan or plan wrote: the unpublished one if there is one, else the dataset's.

    Args:
        dataset: the dataset.
        name: tiles.parquet, which scan may write alone, or a file that plan writes. The files of plan belong together:
            either all unpublished ones count or none.
    """
    waiting = (dataset / NEXT / (name if name == TILES else PLAN)).is_file()
    return (dataset / NEXT if waiting else dataset) / name


def plan_in_use(dataset: Path) -> Path | None:
    """The folder of the plan of which shards are cut, whose tiles must stay; None if there is none.

    An unpublished plan is in use as soon as one of its new shards is cut.
    """
    cut = committed_shards(dataset)
    if not cut:
        return None
    waiting = (dataset / NEXT / PLAN).is_file()
    return dataset / NEXT if waiting and cut[-1] >= _shards(dataset / PLAN) else dataset


def refuse_half_grown(dataset: Path) -> None:
    """Refuse a dataset whose next plan is partly cut.

    Raises:
        UsageError: it is partly cut.
    """
    if plan_in_use(dataset) == dataset / NEXT:
        raise UsageError(
            "The dataset is growing: some patches are not cut yet.", dataset, "Run `build` or `cut` first."
        )


def forget_plan(dataset: Path) -> None:
    """Delete an unpublished plan."""
    remove(dataset / NEXT / PLAN)  # first, because the other files count only with it


def forget_waiting(dataset: Path) -> None:
    """Delete all unpublished tables, or those left over after publication."""
    forget_plan(dataset)
    for path in sorted((dataset / NEXT).glob("*")):
        remove(path)
    shutil.rmtree(dataset / NEXT, ignore_errors=True)


def _shards(plan: Path) -> int:
    """The number of shards of a plan; 0 if no plan can be read."""
    document = PlanDocument.readable(plan)
    return document.shards if document else 0
