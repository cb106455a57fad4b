"""The charts of the report. Each function takes table columns and returns inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from spectralearth_build.report import maps
from spectralearth_build.report.svg import ACCENT, SOFT, THEME, WARM, chart, finish, inline, legend

GAP_NM = 30.0
"""Neighbouring bands further apart than this have a water-vapour gap between them. EnMAP samples every 5-12 nm."""
SET_COLOURS = {"accent": ACCENT, "warm": WARM, "muted": THEME.muted, "soft": SOFT}
"""Colours of the first wavelength sets, by their names in the style sheet."""


@dataclass(frozen=True)
class Spectrum:
    """A spectrum of a patch, as reflectance [band]."""

    label: str
    wavelength_nm: npt.NDArray[np.float64]
    mean: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    """10th percentile of the pixels."""
    high: npt.NDArray[np.float64]
    """90th percentile."""


def overview(ground: maps.MapContent) -> str:
    """Draw the overview map of the regions."""
    figure = Figure(figsize=(7.2, 3.5), layout="constrained")
    maps.draw_overview(figure.add_subplot(), ground, THEME)
    return inline(figure, "Overview map of all footprints")


def region(ground: maps.MapContent, number: int) -> str:
    """Draw footprints and windows of one region."""
    figure = Figure(figsize=(3.8, 3.5), layout="constrained")
    letter = list(maps.letters())[number]
    maps.draw_region(figure.add_subplot(), ground, ground.regions[number], THEME, letter)
    return inline(figure, f"Map of region {letter}: footprints, and windows coloured by number of dates")


def depth_key(ground: maps.MapContent) -> str:
    """Draw the colour bar of the maps."""
    figure = Figure(figsize=(3.8, 0.55), layout="constrained")
    maps.depth_key(figure, ground, THEME, cax=figure.add_subplot())
    return inline(figure, "Colours: number of dates at a location")


def depths(dates: pd.Series) -> str:
    """Draw locations by number of dates."""
    counts = dates.value_counts().sort_index()
    figure, axes = chart("Locations by number of dates")
    axes.bar(counts.index, counts.to_numpy(), width=0.8, color=ACCENT)
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True, min_n_ticks=1))
    axes.set_xlim(0.4, max(2, int(counts.index.max())) + 0.6)
    _count(axes)
    finish(axes, "dates at the location")
    return inline(figure, "Bar chart of locations by number of dates")


def months(acquired: pd.Series) -> str:
    """Draw patches by month of acquisition."""
    counts = acquired.dt.tz_localize(None).dt.to_period("M").value_counts().sort_index()
    span = pd.period_range(counts.index[0], counts.index[-1], freq="M")
    figure, axes = chart("Patches by month")
    axes.bar(np.arange(len(span)), counts.reindex(span, fill_value=0).to_numpy(), width=0.85, color=ACCENT)
    step = max(1, -(-len(span) // 6))
    axes.set_xticks(np.arange(len(span))[::step], [str(month) for month in span[::step]])
    _count(axes)
    finish(axes)
    return inline(figure, "Bar chart of patches by month of acquisition")


def seasons(acquired: pd.Series) -> str:
    """Draw patches by month of the year, over all years."""
    counts = acquired.dt.month.value_counts().reindex(range(1, 13), fill_value=0)
    figure, axes = chart("Patches by season, all years")
    axes.bar(counts.index, counts.to_numpy(), width=0.8, color=ACCENT)
    axes.set_xticks(range(1, 13), list("JFMAMJJASOND"))
    _count(axes)
    finish(axes)
    return inline(figure, "Bar chart of patches by month of the year")


def tile_clouds(used: pd.Series, others: pd.Series) -> str:
    """Draw the cloud cover of used and unused tiles."""
    figure, axes = chart("Tiles by cloud cover")
    axes.hist([used.dropna(), others.dropna()], bins=list(range(0, 101, 10)), stacked=True, rwidth=0.9,
              color=[ACCENT, SOFT], label=["used", "left out"])  # fmt: skip
    _count(axes)
    finish(axes, "cloud cover of the whole tile, percent")
    legend(axes, columns=2)
    return inline(figure, "Histogram of tiles by cloud cover, used and left out")


def patch_clouds(fraction: pd.Series) -> str:
    """Draw the cloud fraction of patches."""
    percent = 100 * fraction.dropna()
    top = max(1.0, float(np.ceil(percent.max())) if len(percent) else 1.0)
    figure, axes = chart("Patches by remaining cloud")
    axes.hist(percent, bins=np.linspace(0, top, 11).tolist(), rwidth=0.9, color=ACCENT)
    _count(axes)
    finish(axes, "share of cloudy pixels in the patch, percent")
    return inline(figure, "Histogram of patches by cloud fraction")


def spectrum(shown: Spectrum) -> str:
    """Draw mean and percentiles of one patch."""
    figure, axes = chart("", (3.8, 1.9))
    x, mean, low, high = with_gaps(shown.wavelength_nm, shown.mean, shown.low, shown.high)
    axes.fill_between(x, low, high, color=ACCENT, alpha=0.22, linewidth=0)
    axes.plot(x, mean, color=ACCENT, linewidth=1.2)
    axes.set_xlim(390, 2480)
    finish(axes, "wavelength, nm", "reflectance", grid="both")
    return inline(figure, f"Spectrum of {shown.label}: mean, and 10th to 90th percentile of the pixels")


def date_colours(count: int) -> list[str]:
    """Return colours for a time series, early to late."""
    return [to_hex(colour) for colour in mpl.colormaps["viridis"](np.linspace(0.25, 0.9, count))]


def spectra(shown: Sequence[Spectrum], colours: Sequence[str]) -> str:
    """Draw mean spectra of several dates in their colours."""
    figure, axes = chart("", (7.2, 2.7))
    for one, colour in zip(shown, colours, strict=True):
        x, mean = with_gaps(one.wavelength_nm, one.mean)
        axes.plot(x, mean, color=colour, linewidth=1.1)
    axes.set_xlim(390, 2480)
    finish(axes, "wavelength, nm", "mean reflectance", grid="both")
    return inline(figure, "Mean spectra of one location at each of its dates")


def deviations(nominal: npt.NDArray[np.float64], sets: Sequence[npt.NDArray[np.float64]]) -> str:
    """Draw the deviation of the kept bands from the nominal ones, for as many wavelength sets as `SET_COLOURS` has.

    Args:
        nominal: nominal wavelengths [band], nm.
        sets: actual wavelengths [band] of each set.
    """
    figure, axes = chart("", (7.2, 2.3))
    for actual, colour in zip(sets, SET_COLOURS.values(), strict=False):
        axes.plot(nominal, actual - nominal, ".", color=colour, markersize=3)
    axes.set_xlim(390, 2480)
    finish(axes, "nominal wavelength, nm", "actual - nominal, nm", grid="both")
    return inline(figure, "Deviation of the bands from their nominal wavelength")


def _count(axes: Axes) -> None:
    """Format the vertical axis for counts."""
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")


def with_gaps(x: npt.NDArray[np.float64], *curves: npt.NDArray[np.float64]) -> list[npt.NDArray[np.float64]]:
    """Break curves where bands were left out, by a NaN between neighbours more than `GAP_NM` apart.

    Args:
        x: wavelengths [band] in any order, nm.
        curves: values [band].

    Returns:
        The sorted wavelengths, then the curves, all with the same breaks.
    """
    order = np.argsort(x, kind="stable")
    breaks = np.flatnonzero(np.diff(x[order]) > GAP_NM) + 1
    return [np.insert(np.asarray(c, dtype=np.float64)[order], breaks, np.nan) for c in (x, *curves)]
