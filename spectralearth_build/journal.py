"""Several files of a dataset replaced as one: after a crash either all of them are the old ones or all the new ones.

The new files are completed in a folder of their own. A list of them, written last, is the point of no return: from
then on `recover` moves into place what has not been moved yet.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spectralearth_build.files import make_folder, move, remove, write_bytes

FOLDER = "work/pending"
LIST = "complete.json"
"""Name of the list."""


@contextmanager
def replaced_together(dataset: Path) -> Iterator[Path]:
    """Yield an empty folder for new files; on success they replace those of ``dataset`` with the same names.

    Args:
        dataset: the dataset; what was pending there must have been recovered.

    Raises:
        OutOfSpaceError: no space, or quota exceeded; nothing was replaced.
    """
    folder = dataset / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    make_folder(folder)
    yield folder
    names = sorted(path.name for path in folder.iterdir())
    write_bytes(folder / LIST, json.dumps(names).encode())
    recover(dataset)


def recover(dataset: Path) -> None:
    """Finish a replacement that was interrupted after its point of no return; forget one that was before it."""
    folder = dataset / FOLDER
    if (folder / LIST).is_file():
        for name in json.loads((folder / LIST).read_bytes()):
            if (folder / name).is_file():
                move(folder / name, dataset / name)
        remove(folder / LIST)
    shutil.rmtree(folder, ignore_errors=True)
