"""Parse product names, and name the files of a product."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

_PRODUCT = re.compile(
    r"ENMAP01-_{4,5}(?P<level>L0|L1B|L1C|L2A)-DT(?P<datatake>\d{9,10})_(?P<started>\d{8}T\d{6})Z"
    r"_(?P<tile>\d{3})_V(?P<version>\d{6})_(?P<processed>\d{8}T\d{6})Z",
    re.IGNORECASE | re.ASCII,
)
_FILE = re.compile(
    r"(?:^|-)(?:(?P<xml>METADATA|HISTORY)\.XML(?:\.XML)?"
    r"|(?:(?P<image>SPECTRAL_IMAGE)(?:_VNIR|_SWIR)?|QL_(?:QUALITY_)?(?P<quality>[A-Z]+)(?:_VNIR|_SWIR)?)"
    r"(?:_COG)?\.(?P<suffix>TIFF?|BSQ|BIL|BIP|JP2))$",
    re.IGNORECASE | re.ASCII,
)

METADATA = "METADATA"
IMAGE = "SPECTRAL_IMAGE"
QUALITY = ("CLASSES", "CLOUD", "CLOUDSHADOW", "HAZE", "CIRRUS", "SNOW")
"""Quality layers that a product must have; TESTFLAGS, PIXELMASK, VNIR and SWIR may be absent."""


@dataclass(frozen=True)
class ProductName:
    """The parts of a product's name."""

    level: str
    """L0, L1B, L1C or L2A."""
    datatake: str
    """DT and ten digits; names of early (simulated) products have nine."""
    started: datetime
    """Start of the tile's acquisition (L0: of the datatake's), UTC, whole seconds."""
    tile: int
    """Number of the tile within the datatake, from 1."""
    version: str
    """Processor version, V010402."""
    processed: datetime
    """Processing time, UTC, whole seconds."""
    product_id: str
    """The name itself."""

    @property
    def tile_id(self) -> str:
        """Datatake and tile, such as DT0000001849_005, the same in all versions."""
        return f"{self.datatake}_{self.tile:03d}"

    def file(self, layer: str) -> str:
        """Name of one of the product's files, as delivered.

        Args:
            layer: METADATA, HISTORY, SPECTRAL_IMAGE, PIXELMASK, VNIR, SWIR or a quality layer such as CLOUD.
        """
        if layer in (METADATA, "HISTORY"):
            return f"{self.product_id}-{layer}.XML"
        if layer == IMAGE:
            return f"{self.product_id}-{layer}.TIF"
        kind = "QL" if layer in ("PIXELMASK", "VNIR", "SWIR") else "QL_QUALITY"
        return f"{self.product_id}-{kind}_{layer}.TIF"


def parse_name(text: str) -> ProductName | None:
    """Find the last product name anywhere in a text, such as a path; None if there is none.

    The last one, because a file's own name takes precedence over the folders above it.
    """
    for match in reversed(list(_PRODUCT.finditer(text))):
        try:
            return ProductName(
                match["level"].upper(),
                datatake_of(match["datatake"]),
                started=_time(match["started"]),
                tile=int(match["tile"]),
                version=f"V{match['version']}",
                processed=_time(match["processed"]),
                product_id=match[0].upper(),
            )
        except ValueError:  # the digits are not a date
            continue
    return None


def datatake_of(digits: str) -> str:
    """The datatake of a number: DT0000001849 for 1849, 000001849 and 0000001849."""
    return f"DT{int(digits):010d}"


def layer_of(filename: str) -> tuple[str, bool] | None:
    """The layer of a product's file, with or without the product's name before it.

    Returns:
        METADATA, HISTORY, SPECTRAL_IMAGE, or the quality layer without QL_ and QUALITY_; and whether its format
        is supported (XML, GeoTIFF). None for any other file.
    """
    match = _FILE.search(filename)
    if match is None:
        return None
    readable = match["suffix"] is None or match["suffix"].upper().startswith("TIF")
    return (match["xml"] or match["image"] or match["quality"]).upper(), readable


def _time(digits: str) -> datetime:
    return datetime.strptime(digits.upper(), "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
