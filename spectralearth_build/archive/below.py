r"""Paths below an archive as text, whatever bytes file names contain.

Names on disk are bytes, and old disks and other systems leave some that are not UTF-8. In tables, and everywhere in
this package, such a byte is written ``\xff``; only what touches the disk turns it into a byte again.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

_BYTE = re.compile(r"\\x([89a-f][0-9a-f])", re.ASCII)


def below(root: Path, path: str) -> Path:
    """The file or folder of a path below ``root``, as `errors.as_text` writes it. Links are not resolved.

    A name that really holds a backslash, x and two digits is taken as it is if there is such a file.
    """
    place = root / path
    if not _BYTE.search(path) or os.path.lexists(place):
        return place
    return root / _BYTE.sub(lambda match: chr(0xDC00 + int(match[1], 16)), path)
