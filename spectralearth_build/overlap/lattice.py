"""The pixel lattice of a UTM zone: integer coordinates for all rasters and windows.

A pixel has a column (increases to the east) and a *line* (increases to the south, like raster rows). Its upper-left
corner is at ``x = 15 + 30 col`` and ``y = 15 - 30 line`` metres. Tables have ``lattice_row = -line``, which increases
to the north like the coordinate. A lattice is named by its EPSG code, 32601-32660 or 32701-32760.

Only this module converts columns and lines to metres, lines to lattice rows, and back. `window_of`, `box_of`,
`anchors_of`, `corner_of` and `bounds_of` read columns of tables, and `columns_of` makes them. Other code uses lines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
N = TypeVar("N", int, float, npt.NDArray[Any])
"""Numbers, one or an array; columns of tables count as arrays."""
F = TypeVar("F", float, npt.NDArray[Any])

PIXEL = 30
"""Pixel size in metres."""
ORIGIN = 15
"""Offset of the lattice in metres: every EnMAP raster seen starts at 15 modulo 30 in x and y."""
WINDOW = 128
"""Edge of a patch in pixels."""
NODATA = -32768
"""Value of a pixel without data, in products and in patches."""
METRES_PER_DEGREE = 111_195.0
"""Length of a degree of latitude on a sphere, for what need not be exact."""


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
        west, north = easting(self.col), northing(self.line)
        return west, north - PIXEL * self.height, west + PIXEL * self.width, north

    @property
    def centres(self) -> tuple[Floats, Floats]:
        """Centres of the columns, x from west to east, and of the lines, y from north to south: metres."""
        cols, lines = np.arange(self.col, self.stop_col), np.arange(self.line, self.stop_line)
        return easting(cols + 0.5), northing(lines + 0.5)

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


def easting(col: N) -> N:
    """West edge of a column: x in metres. Fractions of columns are allowed."""
    return ORIGIN + PIXEL * col


def northing(line: N) -> N:
    """North edge of a line: y in metres. Fractions of lines are allowed."""
    return ORIGIN - PIXEL * line


def col_at(x: F) -> F:
    """The column, with its fraction, at an easting in metres."""
    return (x - ORIGIN) / PIXEL


def line_at(y: F) -> F:
    """The line, with its fraction, at a northing in metres."""
    return (ORIGIN - y) / PIXEL


def window_of(lattice_row: int, lattice_col: int) -> Box:
    """The window of a location, of its place as tables give it."""
    return window(-int(lattice_row), int(lattice_col))


def box_of(tile: Mapping[str, Any]) -> Box:
    """The raster of a tile.

    Args:
        tile: with the columns lattice_row, lattice_col, height and width of a tile table.
    """
    row, col, height, width = (int(tile[name]) for name in ("lattice_row", "lattice_col", "height", "width"))
    return Box(-row, col, height, width)


def columns_of(line: N, col: N) -> dict[str, N]:
    """The columns lattice_col and lattice_row of tables, of pixels given by line and column."""
    return {"lattice_col": col, "lattice_row": -line}


def anchors_of(table: Mapping[str, Any]) -> npt.NDArray[np.int32]:
    """Lines and columns of upper-left pixels, int32 [row, 2].

    Args:
        table: with the columns lattice_row and lattice_col.
    """
    return np.stack([-table["lattice_row"], table["lattice_col"]], axis=1).astype(np.int32)


def corner_of(lattice_row: N, lattice_col: N) -> tuple[N, N]:
    """Upper-left corners of windows, x and y in metres, of places as tables give them."""
    return easting(lattice_col), northing(-lattice_row)


def bounds_of(lattice_row: N, lattice_col: N, size: int = WINDOW) -> tuple[N, N, N, N]:
    """West, south, east and north of windows, in metres, of places as tables give them."""
    west, north = corner_of(lattice_row, lattice_col)
    return west, north - PIXEL * size, west + PIXEL * size, north


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
    line, col = line_at(north), col_at(west)
    on_lattice = (
        abs(pixel[0] - PIXEL) < 1e-6 and abs(pixel[1] - PIXEL) < 1e-6
        and abs(col - round(col)) < 1e-6
        and abs(line - round(line)) < 1e-6
    )  # fmt: skip
    if not on_lattice:
        return None
    return Box(round(line), round(col), *shape)
