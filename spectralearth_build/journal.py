"""Tables of a dataset that change together, and only after all checks have passed.

Two promises. First, several files are replaced as one: after a crash either all of them are the old ones or all the
new ones. The new files are completed in a folder of their own; a list of them, written last, is the point of no
return, and `recover` moves into place what has not been moved yet.

Second, what was published stays as it is. Once something of a dataset was cut, scan and plan write to a folder of its
work, and only publication, after cut, takes over what they wrote. So a build that is refused or stopped at any stage
before leaves the dataset as it was.
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


@contextmanager
def replaced_together(dataset: Path) -> Iterator[Path]:
    """Yield an empty folder for new files; on success they replace those of the same names in `table_folder`.

    Args:
        dataset: the dataset; what was pending there must have been recovered.

    Raises:
        OutOfSpaceError: no space, or quota exceeded; nothing was replaced.
    """
    folder = dataset / PENDING
    shutil.rmtree(folder, ignore_errors=True)
    make_folder(folder)
    yield folder
    names = sorted(path.name for path in folder.iterdir())
    write_bytes(dataset / PENDING_LIST, json.dumps(names).encode())
    recover(dataset)


def recover(dataset: Path) -> None:
    """Finish a replacement that was interrupted after its point of no return; forget one that was before it."""
    folder, complete, target = dataset / PENDING, dataset / PENDING_LIST, table_folder(dataset)
    if complete.is_file():
        make_folder(target)
        for name in json.loads(complete.read_bytes()):
            if (folder / name).is_file():
                move(folder / name, target / name)
        remove(complete)
    shutil.rmtree(folder, ignore_errors=True)


def table_folder(dataset: Path) -> Path:
    """Where scan and plan write tables: in the dataset, or, once something of it was cut, in its work."""
    begun = (dataset / MANIFEST).is_file() or bool(commit_files(dataset))
    return dataset / NEXT if begun else dataset


def newest(dataset: Path, name: str) -> Path:
    """The newest file of a name that scan or plan wrote: an unpublished one, or else that of the dataset.

    Args:
        dataset: the dataset.
        name: tiles.parquet, which scan may write alone, or a file that plan writes. These belong together, so all
            unpublished ones count, or none of them.
    """
    waiting = (dataset / NEXT / (name if name == TILES else PLAN)).is_file()
    return (dataset / NEXT if waiting else dataset) / name


def plan_in_use(dataset: Path) -> Path | None:
    """The folder of the plan of which something was cut: its tiles must stay; None if there is none.

    An unpublished plan is in use as soon as one of its new shards was cut.
    """
    cut = committed_shards(dataset)
    if not cut:
        return None
    waiting = (dataset / NEXT / PLAN).is_file()
    return dataset / NEXT if waiting and cut[-1] >= _shards(dataset / PLAN) else dataset


def refuse_half_grown(dataset: Path) -> None:
    """Refuse a dataset whose next plan is partly cut.

    Raises:
        UsageError: it is one.
    """
    if plan_in_use(dataset) == dataset / NEXT:
        raise UsageError(
            "The dataset is growing: some patches are not cut yet.", dataset, "Run `build` or `cut` first."
        )


def forget_plan(dataset: Path) -> None:
    """Delete an unpublished plan."""
    remove(dataset / NEXT / PLAN)  # first: it is what makes the others count


def forget_waiting(dataset: Path) -> None:
    """Delete all unpublished tables, or what is left of them after publication."""
    forget_plan(dataset)
    for path in sorted((dataset / NEXT).glob("*")):
        remove(path)
    shutil.rmtree(dataset / NEXT, ignore_errors=True)


def _shards(plan: Path) -> int:
    """How many shards a plan has; 0 if there is none that can be read."""
    try:
        last = json.loads(plan.read_bytes())["generations"][-1]
        return int(last["first_shard"] + last["shards"])
    except (OSError, ValueError, LookupError, TypeError):
        return 0
