"""Notes on tiles that failed in cut, so that a resumed run neither loses nor repeats them."""

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
    """The reason why the patches of a tile could not be cut."""

    plan: str
    """Id of the first generation of the plan, so that growing does not retry the tile."""
    tile_id: str
    """Id of the tile."""
    error_class: str
    """Error class."""
    message: str
    """Error message."""
    stamp: str
    """Sizes and times of the product's files at the failure. If they change, the tile is retried."""
    judged: int = 0
    """`record.FORMAT` of the version in which it failed. Another value retries the tile. 0: not recorded."""

    @property
    def lasting(self) -> bool:
        """Return whether the failure persists while the stamp is unchanged; see `ProductError.lasting`."""
        return self.judged == FORMAT and is_lasting(self.error_class)

    def write(self, dataset: Path) -> None:
        """Write the note, atomically."""
        write_bytes(failed_path(dataset, self.tile_id), json_bytes(vars(self)))


def failed_path(dataset: Path, tile_id: str) -> Path:
    """Return the path of a tile's note. Deleting it makes cut retry the tile."""
    return dataset / failed_note(tile_id)


def read_failed(dataset: Path, plan: str) -> dict[str, FailedTile]:
    """Return the tiles that failed in this plan, by id."""
    notes = {}
    for path in sorted((dataset / FAILED).glob("*.json")):
        try:
            note = FailedTile(**json.loads(path.read_bytes()))
        except (ValueError, TypeError):
            continue  # a damaged note, so the tile is retried
        if note.plan == plan:
            notes[note.tile_id] = note
    return notes


def stamp(archive: Path, path: str) -> str:
    """Return a hash of the sizes and times of a product's files.

    Args:
        archive: folder of the products.
        path: a folder, an archive (members follow '!'), or one file of a product, which represents its whole folder.
    """
    place = below(archive, path.split(INSIDE)[0])
    if place.is_file() and not is_zip(place.name) and not is_tar(place.name):
        place = place.parent
    digest = hashlib.sha256(os.fsencode(f"{path}\n"))  # one archive may hold several products of a tile
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
