"""WebDataset: tar files of ``<patch>.npy`` and ``<patch>.json``, with the dates of a location next to each other.

Format: https://github.com/webdataset/webdataset, POSIX ustar. Headers contain neither time nor owner.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from spectralearth_build.export.format import Contents, Cube, OneFile, compact, readable
from spectralearth_build.export.selection import ExportPart, Selection
from spectralearth_build.files import replacing


class WebDataset(OneFile):
    """Tar files; ``index.json`` lists them with their number of samples."""

    pattern = "{part.name}.tar"
    per_file = 64
    most_per_file = 1_000_000
    raw = True

    def write(self, selection: Selection, part: ExportPart, cubes: Iterator[Cube], folder: Path) -> None:
        """Write one tar file, patch by patch."""
        with (
            replacing(folder / self.name(part)) as temporary,
            tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar,
        ):
            for index, cube in zip(range(part.start, part.stop), cubes, strict=True):
                row = selection.plain(index)
                _add(tar, f"{row['patch_id']}.npy", _npy(cube))
                _add(tar, f"{row['patch_id']}.json", compact(row))

    def indices(self, contents: Contents) -> dict[str, bytes]:
        """Return index.json: the files of each split, with their number of samples, size and hash."""
        shards = {
            split: [
                {"file": name, "samples": len(part), **contents.files[name]}
                for part in parts
                for name in (self.name(part),)
            ]
            for split, parts in contents.splits().items()
        }
        return {"index.json": readable({"shape": contents.shape, "dtype": "int16", "splits": shards})}


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data))


def _npy(cube: Cube) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(cube, "<i2"), version=(1, 0), allow_pickle=False)
    return buffer.getvalue()
