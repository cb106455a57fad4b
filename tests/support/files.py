"""Files of a folder: their hashes, and ways to spoil them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path


def tree(folder: Path, but: Collection[str] = ("work",)) -> dict[str, str]:
    """SHA-256 of every file below ``folder`` by path, some names at its top apart: work may differ between runs."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in paths}
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in names.items()
        if name.partition("/")[0] not in but
    }


def flip_bit(path: Path, bit: int) -> None:
    """Change one bit; negative: counted from the file's end."""
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)
