"""Maps of footprints and windows: a world overview, and a panel for each region.

Maps use plain longitude and latitude, stretched so that distances are correct at the centre of a panel. The land
outline is for orientation only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from importlib.resources import files
from itertools import cycle
from pathlib import Path
from typing import Any, TypeAlias

import geopandas as gpd
import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import shapely
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PolyCollection
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, MultipleLocator

from spectralearth_build.files import replacing
from spectralearth_build.geoparquet import are_boxes, bounds_of_boxes
from spectralearth_build.report.regions import Degrees, MapRegion, enclosing, middles, pieces, split

Flags = npt.NDArray[np.bool_]

PANELS = 6
"""Maximum number of region panels. Regions with most windows come first."""
CROWD = 1500
"""Number of polygons above which a vector plot rasterises them."""
COARSE = 6.0
"""Maps that span fewer degrees show no land, because its outline is too coarse."""
PANEL_RATIO = 1.1
"""Aspect ratio (width / height) of a region panel."""
OVERVIEW_RATIO = 2.0
_SIDES = ((0, 1), (1, 0), (0, -1), (-1, 0))
"""Positions of region letters, used in turn to keep those of neighbours apart."""
FOOTPRINT = "#7a8ba3"


@dataclass(frozen=True)
class Theme:
    """Colours of text and background. Data have the same colours in every theme."""

    ink: str = "#22262b"
    muted: str = "#6a7380"
    land: str = "#eceef1"
    line: str = "#d5d9df"
    paper: str = "#ffffff"


@dataclass(frozen=True)
class MapLayer:
    """Polygons to draw."""

    parts: npt.NDArray[np.object_]
    depth: npt.NDArray[np.int64]
    """Number of dates of each polygon; zeros for footprints."""

    def among(self, chosen: npt.NDArray[Any]) -> MapLayer:
        """Return a subset of the polygons."""
        return MapLayer(self.parts[chosen], self.depth[chosen])

    def within(self, region: MapRegion) -> MapLayer:
        """Return the polygons whose centre is in the region."""
        return self.among(region.contains(*middles(self.parts)))


@dataclass(frozen=True)
class MapContent:
    """The content of a map, grouped by region."""

    footprints: MapLayer
    windows: MapLayer
    """The windows in the panels."""
    regions: tuple[MapRegion, ...]
    """Regions that have a panel."""
    others: int
    """Number of further regions, shown only in the overview."""
    count: int
    """Number of all windows."""
    deepest: int
    """Largest number of dates of all windows."""

    @property
    def norm(self) -> Normalize:
        """Return the mapping from number of dates to colours, the same in every panel."""
        return Normalize(1, max(2, self.deepest))


Locations: TypeAlias = gpd.GeoDataFrame | Callable[[], Iterable[pa.Table]]
"""`tables.LOCATIONS`, or a function that reads its columns n and geometry in parts, of which one is held at a time."""


@dataclass(frozen=True)
class _Windows:
    """Windows of a part of the table. Only those that are drawn become geometries."""

    row: npt.NDArray[np.int64]
    """The row of each window; windows that the antimeridian divides are two."""
    middles: Degrees
    """Longitude and latitude of their centres [2, window]."""
    depth: npt.NDArray[np.int64]
    make: Callable[[Flags], npt.NDArray[np.object_]]
    """Makes the polygons of chosen windows."""


def _parts(locations: Locations) -> Iterator[_Windows]:
    if isinstance(locations, gpd.GeoDataFrame):
        yield _of_shapes(np.arange(len(locations)), locations.geometry.to_numpy(), locations["n"].to_numpy())
        return
    start = 0
    for rows in locations():
        wkb, depth, row = rows["geometry"], rows["n"].to_numpy(), start + np.arange(len(rows))
        box = are_boxes(wkb)
        yield _of_boxes(row[box], wkb.filter(pa.array(box)), depth[box])
        if not box.all():
            rest = shapely.from_wkb(wkb.filter(pa.array(~box)).to_numpy())
            yield _of_shapes(row[~box], np.asarray(rest, object), depth[~box])
        start += len(rows)


def _of_boxes(row: npt.NDArray[np.int64], wkb: pa.ChunkedArray, depth: npt.NDArray[Any]) -> _Windows:
    def make(chosen: Flags) -> npt.NDArray[np.object_]:
        return np.asarray(shapely.from_wkb(wkb.filter(pa.array(chosen)).to_numpy()), object)

    centres = bounds_of_boxes(wkb).reshape(-1, 2, 2).mean(axis=1).T
    return _Windows(row, centres, depth.astype(np.int64), make)


def _of_shapes(
    row: npt.NDArray[np.int64], shapes: npt.NDArray[np.object_], depth: npt.NDArray[Any]
) -> _Windows:
    parts, owner = pieces(shapes)
    return _Windows(row[owner], middles(parts), depth[owner].astype(np.int64), lambda chosen: parts[chosen])


def survey(tiles: gpd.GeoDataFrame, locations: Locations) -> MapContent:
    """Group footprints and windows into regions.

    Args:
        tiles: `tables.TILES`, or at least its geometry. Tiles without a geometry are left out.
        locations: the windows. Parts of the table are read twice: to count, and to draw those in the panels.
    """
    footprints = _layer(tiles)
    found = [enclosing(footprints.parts[group]) for group in split(footprints.parts)]
    held, count, deepest = np.zeros(len(found), np.int64), 0, 0
    for part in _parts(locations):
        held += _held(found, part.middles)
        count += len(np.unique(part.row))
        deepest = max(deepest, int(part.depth.max(initial=0)))
    regions = tuple(found[k] for k in np.argsort(-held, kind="stable")[:PANELS])
    panels = [_panel(region) for region in regions]
    drawn, depth, row = [np.empty(0, object)], [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for part in _parts(locations):
        chosen = np.zeros(len(part.row), np.bool_)
        for panel in panels:
            chosen |= panel.contains(*part.middles)
        drawn.append(part.make(chosen))
        depth.append(part.depth[chosen])
        row.append(part.row[chosen])
    order = np.argsort(np.concatenate(row), kind="stable")
    windows = MapLayer(np.concatenate(drawn)[order], np.concatenate(depth)[order])
    return MapContent(footprints, windows, regions, len(found) - len(regions), count, deepest)


def _panel(region: MapRegion) -> MapRegion:
    """Return what the panel of a region shows."""
    return region.grown(0.04, 0.05).fitted(PANEL_RATIO)


def draw_region(axes: Axes, ground: MapContent, region: MapRegion, theme: Theme, title: str = "") -> None:
    """Draw one region: land, faint footprints, windows coloured by number of dates."""
    shown = _panel(region)
    if shown.north - shown.south > COARSE:
        _draw_land(axes, shown, theme)
    _draw_polygons(axes, ground.footprints.within(shown), shown, facecolors=FOOTPRINT, alpha=0.2)
    _draw_polygons(axes, ground.footprints.within(shown), shown, facecolors="none", edgecolors=FOOTPRINT,
                   linewidths=0.5, alpha=0.7)  # fmt: skip
    windows = ground.windows.within(shown)
    _draw_polygons(axes, windows, shown, facecolors=depth_colours()(ground.norm(windows.depth)))
    _frame(axes, shown, theme, title)


def draw_overview(axes: Axes, ground: MapContent, theme: Theme) -> None:
    """Draw the location of the regions on earth, each with its letter."""
    shown = _surroundings(ground)
    _draw_land(axes, shown, theme)
    lon, lat = middles(ground.footprints.parts)
    axes.scatter(lon + shown.shift(lon), lat, s=6 if len(lon) < CROWD else 1, color=depth_colours()(0.35), linewidths=0,
                 rasterized=len(lon) > CROWD)  # fmt: skip
    for letter, side, region in zip(letters(), cycle(_SIDES), ground.regions, strict=False):
        x, y = region.center
        x += float(shown.shift(np.array(x)))
        width, height = max(region.east - region.west, 3) + 1, max(region.north - region.south, 3) + 1
        corner = x - width / 2, y - height / 2
        axes.add_patch(Rectangle(corner, width, height, fill=False, ec=theme.ink, lw=0.8))
        place = x + side[0] * width / 2, y + side[1] * height / 2
        axes.annotate(letter, place, (6 * side[0], 6 * side[1]), textcoords="offset points", color=theme.ink,
                      fontsize=9, ha="center", va="center", annotation_clip=False)  # fmt: skip
    _frame(axes, shown, theme, "")


def depth_key(figure: Figure, ground: MapContent, theme: Theme, **place: Any) -> None:  # noqa: ANN401
    """Draw the colour bar of window colours. ``place`` is ``ax=`` or ``cax=`` of matplotlib."""
    mappable = ScalarMappable(ground.norm, depth_colours())
    bar = figure.colorbar(mappable, orientation="horizontal", ticks=MaxNLocator(8, integer=True), **place)
    bar.set_label("dates at a location", color=theme.muted, fontsize=8)
    bar.ax.tick_params(labelsize=8, colors=theme.muted, length=2)
    bar.outline.set_visible(False)


def letters() -> Iterable[str]:
    """Yield the letters that name the panels."""
    return "ABCDEF"[:PANELS]


@cache
def depth_colours() -> Colormap:
    """Return a colour map from few to many dates, readable on white and on black."""
    stops = ["#5b7fd6", "#2f9fb4", "#3fae6d", "#c7a52b", "#e0743c", "#d4404f"]
    return LinearSegmentedColormap.from_list("depth", stops)


def plan_map(tiles: gpd.GeoDataFrame, locations: Locations, path: Path) -> Path:
    """Write a PNG map of a plan: faint footprints, windows coloured by number of dates.

    Args:
        tiles: footprints to show (rows of `tables.TILES`).
        locations: planned windows.
        path: path of the PNG. The same rows give the same bytes.
    """
    ground, theme = survey(tiles, locations), Theme()
    with mpl.rc_context({"font.family": "DejaVu Sans"}), replacing(path) as temporary:
        title = f"{ground.count:,} windows, {len(tiles) - tiles.geometry.isna().sum():,} footprints"
        figure = _plan_figure(ground, theme, title)
        figure.savefig(temporary, format="png", dpi=150, facecolor=theme.paper, metadata={"Software": None})
    return path


def _plan_figure(ground: MapContent, theme: Theme, title: str) -> Figure:
    columns = min(3, max(1, len(ground.regions)))
    rows = 1 + -(-len(ground.regions) // columns)
    figure = Figure(figsize=(11, 3.6 * rows + 1), layout="constrained")
    figure.suptitle(title, color=theme.ink)
    grid = figure.add_gridspec(rows, columns)
    panels = [figure.add_subplot(grid[0, :])]
    draw_overview(panels[0], ground, theme)
    for k, (letter, region) in enumerate(zip(letters(), ground.regions, strict=False)):
        panels.append(figure.add_subplot(grid[1 + k // columns, k % columns]))
        draw_region(panels[-1], ground, region, theme, letter)
    if ground.count:
        depth_key(figure, ground, theme, ax=panels, shrink=0.5, aspect=45, pad=0.02)
    return figure


def _layer(frame: gpd.GeoDataFrame) -> MapLayer:
    parts, owner = pieces(frame.geometry.to_numpy())
    depth = frame["n"].to_numpy()[owner] if "n" in frame else np.zeros(len(parts))
    return MapLayer(parts, depth.astype(np.int64))


def _held(regions: list[MapRegion], centres: Degrees) -> npt.NDArray[np.int64]:
    """Count the windows in each region, given their centres."""
    lon, lat = centres
    order = np.argsort(lon)
    lon, lat = lon[order], lat[order]
    held = np.zeros(len(regions), np.int64)
    for turn in (-360, 0, 360):
        first = np.searchsorted(lon, [r.west + turn for r in regions], side="left")
        stop = np.searchsorted(lon, [r.east + turn for r in regions], side="right")
        for k, region in enumerate(regions):
            some = lat[first[k] : stop[k]]
            held[k] += np.count_nonzero((some >= region.south) & (some <= region.north))
    return held


def _surroundings(ground: MapContent) -> MapRegion:
    """Return the extent of the overview: all footprints with a wide margin, or the whole earth."""
    if len(ground.footprints.parts):
        around = enclosing(ground.footprints.parts)
        shown = around.grown(0.25, 14).fitted(OVERVIEW_RATIO)
        if shown.east - shown.west < 180:
            return shown
    return MapRegion(-180, -60, 180, 84)


def _draw_polygons(axes: Axes, layer: MapLayer, shown: MapRegion, **style: Any) -> None:  # noqa: ANN401
    turns = shown.shift(middles(layer.parts)[0])
    rings = [
        shapely.get_coordinates(shapely.get_exterior_ring(part)) + (turn, 0)
        for part, turn in zip(layer.parts, turns, strict=True)
    ]
    axes.add_collection(PolyCollection(rings, rasterized=len(rings) > CROWD, **{"linewidths": 0, **style}))


def _draw_land(axes: Axes, shown: MapRegion, theme: Theme) -> None:
    area = shapely.box(shown.west, shown.south, shown.east, shown.north)
    rings = []
    for turn in (-360, 0, 360):
        moved = shapely.transform(_land(), lambda xy, turn=turn: xy + (turn, 0))
        cut = shapely.get_parts(shapely.intersection(moved, area))
        rings += [
            shapely.get_coordinates(shapely.get_exterior_ring(p)) for p in cut if p.geom_type == "Polygon"
        ]
    axes.add_collection(PolyCollection(rings, facecolors=theme.land, linewidths=0))


@cache
def _land() -> npt.NDArray[np.object_]:
    text = files("spectralearth_build.report").joinpath("land.json").read_text(encoding="utf-8")
    rings = np.array([shapely.Polygon(ring) for ring in json.loads(text)["rings"]])
    return np.asarray(shapely.make_valid(rings))


def _frame(axes: Axes, shown: MapRegion, theme: Theme, title: str) -> None:
    axes.set(xlim=(shown.west, shown.east), ylim=(shown.south, shown.north))
    axes.set_aspect(shown.aspect)
    axes.set_facecolor("none")
    axes.set_title(title, loc="left", fontsize=9, color=theme.ink)
    for axis, name in ((axes.xaxis, "EW"), (axes.yaxis, "NS")):
        axis.set_major_locator(MultipleLocator(_step(axis.get_view_interval())))
        axis.set_major_formatter(partial(_tick, name))
    axes.tick_params(labelsize=7.5, colors=theme.muted, length=2)
    axes.grid(color=theme.line, linewidth=0.5)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_color(theme.line)


def _step(interval: tuple[float, float]) -> float:
    """Return the distance between axis ticks in degrees, for at most five ticks."""
    span = float(interval[1] - interval[0])
    return next((step for step in (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30) if span / step <= 5), 60)


def _tick(letters: str, value: float, _: int | None = None) -> str:
    return degrees(value, letters)


def degrees(value: float, letters: str) -> str:
    """Return a tick label, such as ``11.5°E``. Longitudes beyond 180 become west."""
    turned = (value + 180) % 360 - 180 if letters == "EW" and abs(value) != 180 else value
    side = "" if turned == 0 or abs(turned) == 180 else letters[0] if turned > 0 else letters[1]
    return f"{abs(turned):.5g}°{side}"
