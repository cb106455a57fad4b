"""Plain numpy: files of int16 [patch, band, y, x] for ``numpy.load(..., mmap_mode="r")``."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from spectralearth_build.export.format import Contents, Cube, OneFile
from spectralearth_build.export.selection import ExportPart, Selection
from spectralearth_build.files import replacing


class Npy(OneFile):
    """One array per file. patches.parquet gives the position of each patch."""

    pattern = "{part.name}.npy"
    per_file = 256
    most_per_file = 1_000_000
    raw = True

    def write(self, selection: Selection, part: ExportPart, cubes: Iterator[Cube], folder: Path) -> None:
        """Write one array, patch by patch."""
        with replacing(folder / self.name(part)) as temporary, temporary.open("wb") as file:
            first = next(cubes)
            head = {"descr": "<i2", "fortran_order": False, "shape": (len(part), *first.shape)}
            np.lib.format.write_array_header_1_0(file, head)
            for cube in chain([first], cubes):
                file.write(np.ascontiguousarray(cube, "<i2").data)

    def indices(self, contents: Contents) -> dict[str, bytes]:
        """Return no index, since patches.parquet is enough."""
        return {}
