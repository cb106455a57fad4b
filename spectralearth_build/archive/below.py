r"""Paths below an archive as text, whatever bytes the names of files have.

Names on disk are bytes, and old disks and other systems leave some that are not UTF-8. In tables, and everywhere in
this package, such a byte is written ``\xff``; only what touches the disk turns it into a byte again.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from spectralearth_build.errors import escaped

_BYTE = re.compile(r"\\x([89a-f][0-9a-f])", re.ASCII)
_STAND_IN = re.compile("[\udc80-\udcff]")


def as_text(name: str) -> str:
    r"""A name as Python reads it from a disk or a tar, each byte that is not UTF-8 written ``\xff``."""
    return _STAND_IN.sub(lambda match: escaped(match[0]), name)


def below(root: Path, path: str) -> Path:
    """The file or folder of a path below ``root``, as `as_text` writes it. Links are not resolved.

    A name that really holds a backslash, x and two digits is taken as it is if there is such a file.
    """
    place = root / path
    if not _BYTE.search(path) or os.path.lexists(place):
        return place
    return root / _BYTE.sub(lambda match: chr(0xDC00 + int(match[1], 16)), path)


def is_utf8(path: Path) -> bool:
    """Whether libraries that take UTF-8 only, such as GDAL, can open a path."""
    return not _STAND_IN.search(str(path))
