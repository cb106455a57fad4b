"""Statistics and a depth map of the n-tuples of a plan."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import geopandas as gpd
import matplotlib as mpl
import numpy as np
import pandas as pd
import shapely
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from spectralearth_build.files import replacing
from spectralearth_build.report.maps import degrees, depth_colours

PANELS = 4
"""Number of components on the map."""
_INK, _MUTED = "#22262b", "#6a7380"


def distribution(tuples: pd.DataFrame) -> pd.DataFrame:
    """Return n, tuples, windows and area_km2 (the area of the window centres) for each n from 1."""
    by_n = tuples.groupby("n")
    return (
        by_n.agg(tuples=("windows", "size"), windows=("windows", "sum"), area_km2=("area_km2", "sum"))
        .reset_index()
        .sort_values("n", ignore_index=True)
    )


def largest(tuples: pd.DataFrame, by: str, count: int = 10) -> pd.DataFrame:
    """Return the largest tuples of two or more datatakes, by "n" (then area) or by "area_km2" (then n)."""
    order = [by, *({"n", "area_km2"} - {by})]
    several = tuples[tuples["n"] >= 2]
    return several.sort_values(order, ascending=False, kind="stable").head(count)


def richest(tuples: pd.DataFrame) -> list[int]:
    """Return the components with most dates beyond the first, summed over windows; at most `PANELS` of them."""
    again = (tuples["windows"] * (tuples["n"] - 1)).groupby(tuples["component"]).sum()
    return [int(k) for k in again.sort_values(ascending=False, kind="stable").index[:PANELS]]


def depth_map(tuples: gpd.GeoDataFrame, path: Path) -> Path:
    """Write a PNG of the components with most dates, coloured by the number of datatakes that see a window.

    Args:
        tuples: `tables.TUPLES`.
        path: path of the PNG. The same rows give the same bytes.
    """
    shown = richest(tuples)
    norm = Normalize(1, max(2, int(tuples.loc[tuples["component"].isin(shown), "n"].max())) if shown else 2)
    with mpl.rc_context({"font.family": "DejaVu Sans", "font.size": 9, "text.color": _INK}):
        figure = Figure(figsize=(11, 10 if len(shown) > 2 else 6), layout="constrained")
        figure.suptitle("Number of datatakes that see the whole window around a point, valid and clear")
        columns = min(2, max(1, len(shown)))
        panels = figure.subplots(-(-len(shown) // columns) or 1, columns, squeeze=False).ravel()
        for axes in panels[len(shown) :]:
            axes.set_axis_off()
        for axes, component in zip(panels, shown, strict=False):
            _draw(axes, tuples[tuples["component"] == component], norm)
        bar = figure.colorbar(ScalarMappable(norm, depth_colours()), ax=panels, orientation="horizontal",
                              ticks=MaxNLocator(10, integer=True), shrink=0.5, aspect=45, pad=0.02)  # fmt: skip
        bar.set_label("number of dates", color=_MUTED)
        with replacing(path) as temporary:
            figure.savefig(temporary, format="png", dpi=150, metadata={"Software": None})
    return path


def _draw(axes: Axes, tuples: gpd.GeoDataFrame, norm: Normalize) -> None:
    ordered = tuples.sort_values("n", kind="stable")
    shapes = _unrolled(ordered.geometry)
    shapes.plot(ax=axes, color=depth_colours()(norm(ordered["n"].to_numpy())), linewidth=0, aspect=None)
    _, south, _, north = shapes.total_bounds
    axes.set_aspect(1 / np.cos(np.radians((south + north) / 2)))
    number, most = int(tuples["component"].iloc[0]), int(tuples["n"].max())
    area = tuples.loc[tuples["n"] >= 2, "area_km2"].sum()
    title = f"component {number}: {len(tuples):,} tuples, up to n = {most}; {area:,.0f} km² with n ≥ 2"
    axes.set_title(title, loc="left", fontsize=9)
    axes.set(xlabel="", ylabel="")
    for axis, letters in ((axes.xaxis, "EW"), (axes.yaxis, "NS")):
        axis.set_major_locator(MaxNLocator(4))
        axis.set_major_formatter(partial(_tick, letters))
    axes.tick_params(labelsize=7.5, colors=_MUTED, length=2)
    axes.spines[["top", "right", "bottom", "left"]].set_color("#d5d9df")


def _unrolled(shapes: gpd.GeoSeries) -> gpd.GeoSeries:
    """Return shapes in one piece, even if they cross the antimeridian."""
    west, _, east, _ = shapes.total_bounds
    if east - west < 180:
        return shapes
    parts = shapes.explode(ignore_index=False)
    moved = shapely.transform(parts.to_numpy(), lambda p: p)
    negative = shapely.get_x(shapely.centroid(moved)) < 0
    moved[negative] = shapely.transform(moved[negative], lambda p: p + (360, 0))
    return gpd.GeoSeries(moved, index=parts.index).groupby(level=0, sort=False).agg(shapely.union_all)


def _tick(letters: str, value: float, _: int | None = None) -> str:
    return degrees(round(value, 6), letters)
