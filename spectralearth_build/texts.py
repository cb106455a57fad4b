"""Format numbers, names and differences for messages."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

_STAND_IN = re.compile("[\\udc80-\\udcff]")
"""Surrogates that Python uses for bytes that are not UTF-8 (os.fsdecode)."""


LONG = 80
"""Longest value to show, in characters."""


def counted(number: int, one: str, many: str = "") -> str:
    """A number with its noun: 1 tile, 2 tiles, 1,000 tiles.

    Args:
        number: how many.
        one: the noun for one.
        many: the noun for any other number; with an s by default.
    """
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def duration(seconds: float) -> str:
    """Format seconds for people: 99 s, 2 min, 2 h 5 min."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def install(extra: str) -> str:
    """Instructions to install optional dependencies; this package is in no registry.

    Args:
        extra: names of extras in pyproject.toml, such as "train" or "train,bench".
    """
    return f"In a checkout: pip install '.[{extra}]'. With a wheel: pip install 'FILE.whl[{extra}]'."


def changes(old: object, new: object, name: str = "") -> list[str]:
    """Differences between two JSON documents, one per line: ``plan.value: was "patches", is "pairs"``.

    Args:
        old: the old document.
        new: the new document. A key that only one of them has is reported as not set in the other.
        name: dotted name of the documents, the prefix of all names in the result.
    """
    if old == new:
        return []
    if not isinstance(old, Mapping | list) or not isinstance(new, Mapping | list):
        return [f"{name}: was {_value(old)}, is {_value(new)}"]
    before, after = _parts(old), _parts(new)
    return [
        line
        for key in sorted({*before, *after})
        for line in changes(before.get(key), after.get(key), f"{name}.{key}" if name else key)
    ]


def listed(lines: Sequence[str], most: int = 12) -> str:
    """Lines to follow a colon, one below the other, indented; only the first ``most`` are shown, the rest counted."""
    more = [f"and {len(lines) - most} more"] if len(lines) > most else []
    return "".join(f"\n  {line}" for line in [*lines[:most], *more]) + "\n"


def _parts(document: Mapping[str, object] | list[object]) -> dict[str, object]:
    named = document.items() if isinstance(document, Mapping) else enumerate(document)
    return {str(key): value for key, value in named}


def _value(value: object) -> str:
    if value is None:
        return "not set"
    text = json.dumps(value, default=str)
    return text if len(text) <= LONG else f"{text[: LONG - 3]}..."


def as_text(name: str) -> str:
    r"""A file name from a disk or a tar, with each byte that is not UTF-8 written as, for example, ``\xff``."""
    return _STAND_IN.sub(lambda match: f"\\x{ord(match[0]) - 0xDC00:02x}", name)


def is_utf8(text: Path | str) -> bool:
    """Whether a path is valid UTF-8, as GDAL, Parquet, Zarr and JSON require."""
    return not _STAND_IN.search(str(text))
