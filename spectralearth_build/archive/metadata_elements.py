"""A metadata file as a stream of elements, of which the few that matter are kept; read without trust."""

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
"""Real files have about 4.2 MB."""
MAX_DEPTH = 40
MAX_BANDS = 1000
BAND = "specific/bandCharacterisation/bandID"
POINT = "base/spatialCoverage/boundingPolygon/point"
MAX_KEPT = 4
"""Below this depth nothing is asked any more whether it is kept: its parents were."""
_PART = 1 << 16
_KEPT = ("metadata/name", "base/", "specific/", "product/ortho/", "processing/")


def read_elements(path: Path) -> MetadataElements:
    """Read what matters of a METADATA.XML.

    Raises:
        BrokenMetadataError: it is not well-formed, too large, too deep, declares a DTD or is of another kind.
        EmptyFileError, MissingFileError, UnreadableFileError: it cannot be read at all.
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
    """A parser's target: hands on the elements below what is kept, and builds nothing.

    Of each it gives the path below the root, the text, and attribute `number` of itself or the nearest above.
    """

    def __init__(self, add: Callable[[str, str, str], None]) -> None:
        self._add = add
        self._open: list[tuple[str, str, list[str]]] = []
        self._skipped = 0
        """How deep the parser is in elements of which nothing is kept."""

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins."""
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
        """Text, or a part of it."""
        if not self._skipped:
            self._open[-1][2].append(text)

    def end(self, _tag: str) -> None:
        """An element ends."""
        if self._skipped:
            self._skipped -= 1
            return
        place, number, texts = self._open.pop()
        if self._open:
            self._add(place, "".join(texts).strip(), number)


class MetadataElements:
    """The few texts that matter, by path, by band and by point."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.texts: dict[str, str] = {}
        self.bands: dict[int, dict[str, str]] = {}
        self.points: list[dict[str, str]] = [{}]

    def add(self, place: str, text: str, number: str) -> None:
        """Take note of an element."""
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
        """A text that must be there."""
        if place not in self.texts:
            raise BrokenMetadataError(f"The element {place} is missing.", self.path)
        return self.texts[place]

    def number(self, place: str) -> float:
        """A number that must be there and finite."""
        value = self.maybe(place)
        if value is None:
            raise BrokenMetadataError(f"The element {place} is missing or no number.", self.path)
        return value

    def maybe(self, place: str) -> float | None:
        """A number, if there is one."""
        value = to_float(self.texts.get(place, ""))
        return value if np.isfinite(value) else None

    def whole(self, place: str) -> int:
        """A whole number that must be there."""
        return int(self.number(place))

    def time(self, place: str) -> datetime:
        """A time that must be there, as UTC."""
        try:
            moment = datetime.fromisoformat(self.text(place))
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        except (ValueError, OverflowError) as error:  # OverflowError: before year 1 or after 9999 in UTC
            raise BrokenMetadataError(f"The element {place} is no time.", self.path) from error


def to_float(text: str) -> float:
    """A number; NaN for anything else."""
    try:
        return float(text)
    except ValueError:
        return np.nan


def natural(text: str) -> int | None:
    """A number of at most ten plain digits; None for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else None
