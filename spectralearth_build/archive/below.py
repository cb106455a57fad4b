r"""Paths below an archive as text, even if file names are not valid UTF-8.

File names are bytes, and old disks and other systems leave names that are not valid UTF-8. In tables, and everywhere
in this package, such a byte is written as, for example, ``\xff``. Only code that accesses the disk converts it back.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

_BYTE = re.compile(r"\\x([89a-f][0-9a-f])", re.ASCII)


def below(root: Path, path: str) -> Path:
    """The file or folder of a path below ``root``; the path is as `texts.as_text` writes it. Links are not resolved.

    If a file exists whose name really contains a backslash, x and two digits, that file is meant.
    """
    place = root / path
    if not _BYTE.search(path) or os.path.lexists(place):
        return place
    return root / _BYTE.sub(lambda match: chr(0xDC00 + int(match[1], 16)), path)
