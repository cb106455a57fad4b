"""Read a metadata file as a stream and keep the few elements that are needed. The file is not trusted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from xml.etree.ElementTree import ParseError

import numpy as np
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import XMLParser

from spectralearth_build.archive.disk import require_readable
from spectralearth_build.errors import BrokenMetadataError

MAX_BYTES = 64 * 2**20
"""Largest size of the file, bytes; real files have about 4.2 MB."""
MAX_DEPTH = 40
MAX_BANDS = 1000
BAND = "specific/bandCharacterisation/bandID"
POINT = "base/spatialCoverage/boundingPolygon/point"
MAX_KEPT = 4
"""From this depth on, elements are kept without a check, because their parents were checked."""
_PART = 1 << 16
_KEPT = ("metadata/name", "base/", "specific/", "product/ortho/", "processing/")


def read_elements(path: Path) -> MetadataElements:
    """Read the elements of a METADATA.XML that are needed.

    Raises:
        BrokenMetadataError: it is not well-formed, too large, nested too deep, declares a DTD or has another root.
        EmptyFileError, MissingFileError, UnreadableFileError: the file cannot be read.
    """
    if (size := require_readable(path)) > MAX_BYTES:
        raise BrokenMetadataError(f"The file has {size} bytes, more than {MAX_BYTES}.", path)
    elements = MetadataElements(path)
    try:
        with path.open("rb") as file:
            parser = XMLParser(target=_Elements(elements.add), forbid_dtd=True)
            while part := file.read(_PART):
                parser.feed(part)
            parser.close()
    except DefusedXmlException as error:
        raise BrokenMetadataError("The XML declares a DTD or entities.", path) from error
    except (ParseError, ValueError, LookupError) as error:  # LookupError: an unknown encoding
        raise BrokenMetadataError(f"The XML is not well-formed ({error}).", path) from error
    return elements


class _Elements:
    """Parser target that passes on the elements to keep and builds no tree.

    It passes on each element's path below the root, its text, and the attribute `number` of the element or of its
    nearest ancestor.
    """

    def __init__(self, add: Callable[[str, str, str], None]) -> None:
        self._add = add
        self._open: list[tuple[str, str, list[str]]] = []
        self._skipped = 0
        """Depth of the parser within a skipped element."""

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Handle the start of an element."""
        depth = len(self._open) + self._skipped
        if depth >= MAX_DEPTH:
            raise ValueError(f"elements nest deeper than {MAX_DEPTH}")
        if self._skipped:
            self._skipped += 1
            return
        name = tag.rpartition("}")[2]
        if depth == 0:
            if name != "level_X":
                raise ValueError(f"the root is {name[:50]}, not level_X")
            self._open.append(("", "", []))
            return
        above, number, _ = self._open[-1]
        place = f"{above}/{name}" if above else name
        if depth < MAX_KEPT and not any(k.startswith(f"{place}/") or place.startswith(k) for k in _KEPT):
            self._skipped = 1
            return
        self._open.append((place, attributes.get("number", number), []))

    def data(self, text: str) -> None:
        """Handle text, or a part of it."""
        if not self._skipped:
            self._open[-1][2].append(text)

    def end(self, _tag: str) -> None:
        """Handle the end of an element."""
        if self._skipped:
            self._skipped -= 1
            return
        place, number, texts = self._open.pop()
        if self._open:
            self._add(place, "".join(texts).strip(), number)


class MetadataElements:
    """The texts that are needed, by path, by band and by point."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.texts: dict[str, str] = {}
        self.bands: dict[int, dict[str, str]] = {}
        self.points: list[dict[str, str]] = [{}]

    def add(self, place: str, text: str, number: str) -> None:
        """Add an element."""
        if place.startswith(BAND):
            band = natural(number)
            if band is None or band > MAX_BANDS:
                raise ValueError(f"a band has no number up to {MAX_BANDS}")
            self.bands.setdefault(band, {})[place.rpartition("/")[2]] = text
        elif place == POINT:
            self.points.append({})
        elif place.startswith(POINT):
            self.points[-1][place.rpartition("/")[2]] = text
        elif text and place.startswith(_KEPT):
            self.texts.setdefault(place, text)

    def text(self, place: str) -> str:
        """A required text."""
        if place not in self.texts:
            raise BrokenMetadataError(f"The element {place} is missing.", self.path)
        return self.texts[place]

    def number(self, place: str) -> float:
        """A required, finite number."""
        value = self.maybe(place)
        if value is None:
            raise BrokenMetadataError(f"The element {place} is missing or not a number.", self.path)
        return value

    def maybe(self, place: str) -> float | None:
        """An optional number; None if absent or not finite."""
        value = to_float(self.texts.get(place, ""))
        return value if np.isfinite(value) else None

    def whole(self, place: str) -> int:
        """A required whole number."""
        return int(self.number(place))

    def time(self, place: str) -> datetime:
        """A required time, as UTC."""
        try:
            moment = datetime.fromisoformat(self.text(place))
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        except (ValueError, OverflowError) as error:  # OverflowError: before year 1 or after 9999 in UTC
            raise BrokenMetadataError(f"The element {place} is not a time.", self.path) from error


def to_float(text: str) -> float:
    """Parse a number; NaN for anything else."""
    try:
        return float(text)
    except ValueError:
        return np.nan


def natural(text: str) -> int | None:
    """Parse a number of at most ten ASCII digits; None for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else None
