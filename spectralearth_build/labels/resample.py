"""Resample labels to a patch's pixels, from rasters of any projection and resolution.

Nothing is resampled twice: each pixel of the patch is computed directly from the raster. A patch reads only the window
of the raster that it needs, in pieces if the window is large or split (across the antimeridian).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

from spectralearth_build.errors import UsageError
from spectralearth_build.labels import area_weights
from spectralearth_build.labels.label_raster import Kind
from spectralearth_build.labels.locate import Floats, Georeferenced, cells, centres, corners, places
from spectralearth_build.overlap.lattice import PIXEL, WINDOW

Values = npt.NDArray[Any]
Rule = Literal["nearest", "majority", "mean"]
RULES: tuple[Rule, ...] = get_args(Rule)

FINE = 20.0
"""Rasters with pixels smaller than this, metres, count as finer than the patches."""
LARGEST_WINDOW = 2**22
"""Largest number of pixels to read at a time."""
_STRETCH = 16
"""Largest stretch of a patch's pixel in a raster, relative to nominal; reached by longitudes at 86 degrees north."""


class RasterWindowSource(Georeferenced, Protocol):
    """Interface of a raster to read from, such as a `Source`."""

    @property
    def kind(self) -> Kind:
        """Whether values are codes or quantities."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""

    @property
    def nodata(self) -> float:
        """Value of pixels without data."""

    @property
    def metres(self) -> float:
        """Nominal edge of a pixel, metres."""

    @property
    def name(self) -> str:
        """Name for messages."""

    def read(self, lines: slice, cols: slice) -> Values:
        """Pixels of a window inside the raster."""


def default_rule(source: RasterWindowSource) -> Rule:
    """The default rule: mean for quantities; for codes, majority if the raster is finer than `FINE`, otherwise nearest.

    It depends only on the raster, so that all patches of a label use the same rule.
    """
    if source.kind == "continuous":
        return "mean"
    return "majority" if source.metres < FINE else "nearest"


def on_patch(
    source: RasterWindowSource | Sequence[RasterWindowSource],
    epsg: int,
    west: float,
    north: float,
    rule: Rule,
) -> Values:
    """A raster's values on the pixels of a patch.

    The rules are: nearest, the source pixel that contains the centre of the patch's pixel (a centre on an edge belongs
    to the next line or column); majority, the code with the largest share of the patch pixel's area (in a tie, the
    smallest code); mean, the mean over its area. Areas are exact. Source pixels without data are ignored, but if they
    cover more than half of a pixel, the pixel has no data. A pixel that the projection splits has no data either. A
    pixel in several tiles of a mosaic, or at both ends of a raster across the antimeridian, gets the value of the part
    that covers at least half of it.

    Args:
        source: the raster, or several, such as the tiles of a mosaic; pixels without data in one are taken from the
            next. They must have the same kind and type.
        epsg: UTM zone of the patch.
        west: x of its upper-left corner, metres.
        north: y of its upper-left corner, metres.
        rule: the rule; see `default_rule`.

    Returns:
        [128, 128] in the type of the (first) source, with its ``nodata`` for pixels without data.

    Raises:
        UsageError: the rule does not apply to the kind of the source, sources differ, or one cannot be read.
    """
    sources = list(source) if isinstance(source, Sequence) else [source]
    first = sources[0]
    out = np.full((WINDOW, WINDOW), first.nodata, first.dtype)
    for each in sources:
        _check(each, first, rule)
        missing = _absent(out, first)
        if not missing.any():
            break
        found = _resampled(each, epsg, west, north, rule)
        taken = missing & ~_absent(found, each)
        out[taken] = found[taken]
    return out


def _check(source: RasterWindowSource, first: RasterWindowSource, rule: Rule) -> None:
    if (source.kind, source.dtype) != (first.kind, first.dtype):
        raise UsageError(
            f"It is {source.kind} {source.dtype}, but {first.name} is {first.kind} {first.dtype}.",
            source.name,
            "Give rasters of the same kind and type, or make two labels.",
        )
    wrong = "majority" if source.kind == "continuous" else "mean"
    if rule == wrong:
        raise UsageError(
            f"The rule {rule} does not apply to {source.kind} values.", source.name, "Use another rule."
        )


def _absent(values: Values, source: RasterWindowSource) -> npt.NDArray[np.bool_]:
    return np.asarray(np.isnan(values) if source.kind == "continuous" else values == source.nodata)


def _resampled(source: RasterWindowSource, epsg: int, west: float, north: float, rule: Rule) -> Values:
    out = np.full((WINDOW, WINDOW), source.nodata, source.dtype)
    for lines, cols in places(source, epsg, west, north, centres() if rule == "nearest" else corners()):
        found = np.full_like(out, source.nodata)
        _fill(source, lines, cols, rule, found)
        out = np.where(_absent(out, source), found, out)
    return out


def _fill(source: RasterWindowSource, lines: Floats, cols: Floats, rule: Rule, out: Values) -> None:
    """Compute the values of pixels from their centres (as many as pixels) or corners (one more along each axis)."""
    (top, bottom), (left, right) = (
        _reach(axis, size) for axis, size in zip((lines, cols), source.shape, strict=True)
    )
    if top >= bottom or left >= right:
        return
    if (bottom - top) * (right - left) > LARGEST_WINDOW and out.size > 1:
        axis = int(out.shape[1] > out.shape[0])
        middle, shared = out.shape[axis] // 2, lines.shape[axis] - out.shape[axis]
        for part, inner in ((slice(0, middle + shared), slice(0, middle)), (slice(middle, None),) * 2):
            outer, inside = ((slice(None), part), (slice(None), inner)) if axis else ((part,), (inner,))
            _fill(source, lines[outer], cols[outer], rule, out[inside])
        return
    window = source.read(slice(top, bottom), slice(left, right))
    out[...] = _RULES[rule](source, window, lines - top, cols - left)


def _reach(places: Floats, size: int) -> tuple[int, int]:
    """Range of a raster's lines (or columns) that positions touch, start and stop; empty if there are none."""
    known = places[np.isfinite(places)]
    if not known.size:
        return 0, 0
    first, last = (min(max(v, 0), size) for v in (known.min() - 1, known.max() + 1))
    return math.floor(first), math.ceil(last)


def _nearest(source: RasterWindowSource, window: Values, lines: Floats, cols: Floats) -> Values:
    line, col = cells(lines, cols, window.shape)
    height, width = window.shape
    inside = (line >= 0) & (line < height) & (col >= 0) & (col < width)
    found = window[np.where(inside, line, 0), np.where(inside, col, 0)]
    return np.where(inside, found, source.dtype.type(source.nodata))


def _majority(source: RasterWindowSource, window: Values, lines: Floats, cols: Floats) -> Values:
    codes = window.astype(np.int64)
    return area_weights.majority(codes, lines, cols, int(source.nodata), _most(source)).astype(source.dtype)


def _mean(source: RasterWindowSource, window: Values, lines: Floats, cols: Floats) -> Values:
    return area_weights.mean(window.astype(np.float64), lines, cols, _most(source)).astype(source.dtype)


def _most(source: RasterWindowSource) -> int:
    """Largest extent of a patch's pixel in source pixels; a larger pixel counts as split."""
    return math.ceil(_STRETCH * PIXEL / source.metres) + 1


_RULES: dict[Rule, Callable[[RasterWindowSource, Values, Floats, Floats], Values]] = {
    "nearest": _nearest, "majority": _majority, "mean": _mean
}  # fmt: skip
