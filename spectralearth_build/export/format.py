"""The interface of formats, and their options."""

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
    """Options that apply to any format."""

    bands: str = ""
    """Wavelengths to export, see `bands.choose`; empty: all."""
    per_file: int = 0
    """Patches per file; 0: the default of the format."""
    compress: str = ""
    """Compression of GeoTIFFs; empty: deflate."""


@dataclass(frozen=True)
class Contents:
    """The contents of an export, once all its parts are written."""

    selection: Selection
    """The patches."""
    parts: Sequence[ExportPart]
    """The parts."""
    shape: tuple[int, int, int]
    """Bands, lines and columns of a patch."""
    files: Mapping[str, Mapping[str, Any]]
    """``bytes`` and ``sha256`` of each file, by path below the target."""
    plan: str
    """Id of the plan of the dataset."""

    def splits(self) -> dict[str, list[ExportPart]]:
        """Return the parts by split."""
        found: dict[str, list[ExportPart]] = {}
        for part in self.parts:
            found.setdefault(part.split, []).append(part)
        return found


class Format(Protocol):
    """A format to write patches in. Its output depends only on its arguments."""

    per_file: int
    """Default number of patches per file."""
    most_per_file: int
    """Maximum number of patches per file."""
    layout: int
    """Version of the file layout. Unfinished exports of another version are not continued."""
    raw: bool
    """Whether files are as large as the raw pixels, so that the required space is known in advance."""

    def files(self, selection: Selection, part: ExportPart) -> list[str]:
        """Return the file of each patch of the part, in order, as paths below the target."""
        ...

    def write(self, selection: Selection, part: ExportPart, cubes: Iterator[Cube], folder: Path) -> None:
        """Write these files below ``folder``, each one atomically."""
        ...

    def indices(self, contents: Contents) -> dict[str, bytes]:
        """Return additional files of the format, such as an index, by path below the target."""
        ...


class OneFile:
    """The base class of formats with one file per part."""

    layout = 1
    pattern: str
    """Path of a file below the target, with ``{part}`` for the part."""

    def name(self, part: ExportPart) -> str:
        """Return the file of a part."""
        return self.pattern.format(part=part)

    def files(self, selection: Selection, part: ExportPart) -> list[str]:
        """Return this file for each patch."""
        return [self.name(part)] * len(part)


def compact(value: object) -> bytes:
    """Encode as one-line JSON with sorted keys."""
    return json.dumps(value, sort_keys=True, allow_nan=False, separators=(",", ":")).encode()


def readable(value: object) -> bytes:
    """Encode as indented JSON with sorted keys."""
    return (json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()
