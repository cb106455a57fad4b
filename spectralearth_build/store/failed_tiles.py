"""Tiles that failed in cut: a note each, so that a resumed run neither loses nor repeats them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from spectralearth_build.archive.below import below
from spectralearth_build.archive.container import is_tar, is_zip
from spectralearth_build.archive.on_object_store import INSIDE
from spectralearth_build.archive.record import FORMAT
from spectralearth_build.errors import is_lasting
from spectralearth_build.files import write_bytes
from spectralearth_build.layout import FAILED, failed_note
from spectralearth_build.store.commit import json_bytes


@dataclass(frozen=True)
class FailedTile:
    """Why a tile's patches could not be cut."""

    plan: str
    """Id of the first generation of the plan it failed in: growing makes no tile try again."""
    tile_id: str
    """The tile."""
    error_class: str
    """Class of the problem."""
    message: str
    """What happened."""
    stamp: str
    """Sizes and times of the product's files when it failed; when they change, the tile is tried again."""
    judged: int = 0
    """`record.FORMAT` of the version that it failed in; another one tries the tile again. 0: before that was noted."""

    @property
    def lasting(self) -> bool:
        """Whether it stands for as long as the stamp stays the same; see `ProductError.lasting`."""
        return self.judged == FORMAT and is_lasting(self.error_class)

    def write(self, dataset: Path) -> None:
        """Write the note, atomically."""
        write_bytes(failed_path(dataset, self.tile_id), json_bytes(vars(self)))


def failed_path(dataset: Path, tile_id: str) -> Path:
    """The note of a tile; deleting it makes cut try the tile again."""
    return dataset / failed_note(tile_id)


def read_failed(dataset: Path, plan: str) -> dict[str, FailedTile]:
    """The tiles that failed in this plan, by name."""
    notes = {}
    for path in sorted((dataset / FAILED).glob("*.json")):
        try:
            note = FailedTile(**json.loads(path.read_bytes()))
        except (ValueError, TypeError):
            continue  # a damaged note: the tile is tried again
        if note.plan == plan:
            notes[note.tile_id] = note
    return notes


def stamp(archive: Path, path: str) -> str:
    """Hash of the sizes and times of a product's files.

    Args:
        archive: folder of the products.
        path: a folder, an archive (members behind '!'), or one file of a product, which stands for its whole folder.
    """
    place = below(archive, path.split(INSIDE)[0])
    if place.is_file() and not is_zip(place.name) and not is_tar(place.name):
        place = place.parent
    digest = hashlib.sha256()
    for file in sorted(_files(place)):
        try:
            seen = file.stat()
        except OSError as error:
            digest.update(os.fsencode(f"{file.name} {error.errno}\n"))
        else:
            digest.update(os.fsencode(f"{file.name} {seen.st_size} {seen.st_mtime_ns} {seen.st_ctime_ns}\n"))
    return digest.hexdigest()


def _files(place: Path) -> Iterator[Path]:
    if not place.is_dir():
        yield place
        return
    for folder, _, names in os.walk(place):
        yield from (Path(folder) / name for name in names)
