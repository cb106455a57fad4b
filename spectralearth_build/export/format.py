"""What every format is to the driver, and what it may be told."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from spectralearth_build.export.selection import ExportPart, Selection

Cube = npt.NDArray[np.int16]
"""int16 [band, y, x] of one patch."""


@dataclass(frozen=True)
class Options:
    """How to write, whatever the format."""

    bands: str = ""
    """Wavelengths, see `bands.choose`; empty: all."""
    per_file: int = 0
    """Patches a file; 0: what suits the format."""
    compress: str = ""
    """Compression of GeoTIFFs; empty: deflate."""


@dataclass(frozen=True)
class Contents:
    """All of an export, when its parts are written."""

    selection: Selection
    """The patches."""
    parts: Sequence[ExportPart]
    """The parts."""
    shape: tuple[int, int, int]
    """Bands, lines and columns of a patch."""
    files: Mapping[str, Mapping[str, Any]]
    """``bytes`` and ``sha256`` of each file, by path below the target."""
    plan: str
    """Id of the plan behind the dataset."""

    def splits(self) -> dict[str, list[ExportPart]]:
        """The parts by split."""
        found: dict[str, list[ExportPart]] = {}
        for part in self.parts:
            found.setdefault(part.split, []).append(part)
        return found


class Format(Protocol):
    """A way to write patches. Everything it writes depends on its arguments alone."""

    per_file: int
    """Patches a file, unless the user says otherwise."""
    most_per_file: int
    """Patches that a file can hold at most."""
    layout: int
    """Number of what the files look like; exports of another are not gone on with."""
    raw: bool
    """Whether files are as large as the raw pixels, so that the space they need is known beforehand."""

    def files(self, selection: Selection, part: ExportPart) -> list[str]:
        """For each patch of the part, in order, the file that holds it, by path below the target."""
        ...

    def write(self, selection: Selection, part: ExportPart, cubes: Iterator[Cube], folder: Path) -> None:
        """Write these files below ``folder``, each atomically."""
        ...

    def indices(self, contents: Contents) -> dict[str, bytes]:
        """What the format needs beside them, such as an index, by path below the target."""
        ...


class OneFile:
    """What formats with one file a part have in common."""

    layout = 1
    pattern: str
    """Path of the file below the target, with ``{part}`` for the part."""

    def name(self, part: ExportPart) -> str:
        """The file of a part."""
        return self.pattern.format(part=part)

    def files(self, selection: Selection, part: ExportPart) -> list[str]:
        """The same for each patch."""
        return [self.name(part)] * len(part)


def compact(value: object) -> bytes:
    """JSON in one line, keys in order."""
    return json.dumps(value, sort_keys=True, allow_nan=False, separators=(",", ":")).encode()


def readable(value: object) -> bytes:
    """JSON for people, keys in order."""
    return (json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()
