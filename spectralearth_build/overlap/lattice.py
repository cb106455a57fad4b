"""The pixel lattice of a UTM zone: integer coordinates for all rasters and windows.

A pixel has a column (increases to the east) and a *line* (increases to the south, like raster rows). Its upper-left
corner is at ``x = 15 + 30 col`` and ``y = 15 - 30 line`` metres. Tables have ``lattice_row = -line``, which increases
to the north like the coordinate; nothing else uses it. A lattice is named by its EPSG code, 32601-32660 or 32701-32760.
"""

from __future__ import annotations

from dataclasses import dataclass

PIXEL = 30
"""Pixel size in metres."""
ORIGIN = 15
"""Offset of the lattice in metres: every EnMAP raster seen starts at 15 modulo 30 in x and y."""
WINDOW = 128
"""Edge of a patch in pixels."""


@dataclass(frozen=True, order=True)
class Box:
    """A rectangle of lattice pixels, half-open: lines ``[line, line + height)``, columns ``[col, col + width)``."""

    line: int
    """First (northernmost) line."""
    col: int
    """First (westernmost) column."""
    height: int
    """Number of lines."""
    width: int
    """Number of columns."""

    @property
    def stop_line(self) -> int:
        """Line after the last line."""
        return self.line + self.height

    @property
    def stop_col(self) -> int:
        """Column after the last column."""
        return self.col + self.width

    @property
    def bounds(self) -> tuple[int, int, int, int]:
        """West, south, east and north in metres of the zone."""
        west, north = ORIGIN + PIXEL * self.col, ORIGIN - PIXEL * self.line
        return west, north - PIXEL * self.height, west + PIXEL * self.width, north

    def intersection(self, other: Box) -> Box | None:
        """The box that both boxes cover; None if they do not overlap."""
        line, col = max(self.line, other.line), max(self.col, other.col)
        height = min(self.stop_line, other.stop_line) - line
        width = min(self.stop_col, other.stop_col) - col
        return Box(line, col, height, width) if height > 0 and width > 0 else None

    def grown(self, margin: int) -> Box:
        """The box with ``margin`` more pixels on each side."""
        return Box(self.line - margin, self.col - margin, self.height + 2 * margin, self.width + 2 * margin)

    def slices(self, inside: Box) -> tuple[slice, slice]:
        """Index of this box in an array [line, col] that covers ``inside`` (which must contain it)."""
        line, col = self.line - inside.line, self.col - inside.col
        return slice(line, line + self.height), slice(col, col + self.width)


def window(line: int, col: int, size: int = WINDOW) -> Box:
    """The window whose anchor (upper-left pixel) is (line, col)."""
    return Box(line, col, size, size)


def box_of_raster(
    west: float, north: float, pixel: tuple[float, float], shape: tuple[int, int]
) -> Box | None:
    """The lattice box of a north-up raster; None if it is not on the lattice.

    Args:
        west: x of the upper-left corner in metres.
        north: y of the upper-left corner in metres.
        pixel: width and (positive) height of a pixel in metres.
        shape: number of lines and of columns.
    """
    on_lattice = (
        abs(pixel[0] - PIXEL) < 1e-6 and abs(pixel[1] - PIXEL) < 1e-6
        and abs((west - ORIGIN) / PIXEL - round((west - ORIGIN) / PIXEL)) < 1e-6
        and abs((north - ORIGIN) / PIXEL - round((north - ORIGIN) / PIXEL)) < 1e-6
    )  # fmt: skip
    if not on_lattice:
        return None
    return Box(-round((north - ORIGIN) / PIXEL), round((west - ORIGIN) / PIXEL), *shape)
