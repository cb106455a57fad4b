"""Charts of a comparison: bars by protocol, convergence curves, and curves over the label fraction."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Literal

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from spectralearth_build.downstream.grid import percent
from spectralearth_build.downstream.grid_config import RANDOM, GridConfig
from spectralearth_build.downstream.result_tables import COLUMNS, figure_title
from spectralearth_build.files import replacing
from spectralearth_build.report.maps import Theme
from spectralearth_build.report.svg import THEME, finish, inline

KNOWN = {RANDOM: "#8f9aa6", "moco": "#2f9fb4", "dino": "#e0743c", "mae": "#6a7fd8", "simclr": "#3fae6d",
         "byol": "#b5539c", "simsiam": "#c9a227", "barlow": "#7a5c3e", "vicreg": "#4f6d7a", "swav": "#d1495b",
         "distil": "#5b8c2a"}  # fmt: skip
OTHERS = ("#b8a02c", "#d4404f", "#a06cb0", "#8a6d4a", "#4f8f8c")
"""Colours for other kinds of weights, used in turn. They are legible on light and dark backgrounds."""
Style = Literal["-", "--", ":"]
STYLES: dict[str, Style] = {"frozen": "-", "finetune": "--", "scratch": "--", "adapter": ":"}
MARKERS = {"frozen": "o", "finetune": "s", "scratch": "s", "adapter": "^"}
SIZE = (3.8, 2.4)
"""Size of a chart in inches."""

Draw = Callable[[Axes, Theme], None]


@dataclass(frozen=True)
class Chart:
    """One chart, which can be drawn in any theme."""

    title: str
    draw: Draw

    def svg(self) -> str:
        """Return SVG for a page with light and dark mode."""
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.add_subplot()
        self.draw(axes, THEME)
        axes.set_title(self.title, loc="left", fontsize=9, color=THEME.ink)
        return inline(figure, self.title)


@dataclass(frozen=True)
class Data:
    """The data of the charts."""

    config: GridConfig
    shown: pd.DataFrame
    """The output of `results.shown`."""
    curves: pd.DataFrame
    """The output of `results.curves`."""

    def pairs(self) -> Iterable[tuple[str, str, str]]:
        """Yield each task and encoder, with the title of its chart."""
        several = len(self.config.encoders) > 1
        for task in self.config.tasks:
            for encoder in self.config.encoders:
                yield task.name, encoder.name, f"{task.name}, {encoder.name}" if several else task.name

    def part(self, table: pd.DataFrame, task: str, encoder: str) -> pd.DataFrame:
        """Return the rows of a task and an encoder."""
        return table[(table["task"] == task) & (table["encoder"] == encoder)]

    def metric(self, task: str) -> str:
        """Return the figure that a task shows."""
        return next(one.shown for one in self.config.tasks if one.name == task)


@dataclass(frozen=True)
class Kind:
    """Charts of one kind."""

    heading: str
    text: str
    """Explanation of how to read the charts."""
    charts: list[Chart]
    styles: bool = True
    """Whether line styles differ by protocol, so that the legend must list them."""


def kinds(data: Data) -> list[Kind]:
    """Return all kinds of charts that have data, for the largest and the smallest label fraction."""
    shares = sorted(data.shown["fraction"].unique(), reverse=True)
    ends = {share: f"{percent(share)} % of the labels" for share in dict.fromkeys((shares[0], shares[-1]))}
    spread = "Mean on test, with standard deviation over seeds."
    speed = "Convergence: the figure on val after each epoch, mean and standard deviation over seeds."
    labels = "Effect of the number of labels. Smaller fractions are subsets of larger ones."
    found = [
        Kind(f"Protocols, {name}", spread, bars(data, share), styles=False) for share, name in ends.items()
    ]
    found += [Kind(f"Convergence, {name}", speed, convergence(data, share)) for share, name in ends.items()]
    return [kind for kind in (*found, Kind("Label fractions", labels, label_curves(data))) if kind.charts]


def colours(config: GridConfig) -> dict[str, str]:
    """Return the colour of each kind of weights, random last."""
    names = dict.fromkeys(name for encoder in config.encoders for name in encoder.initialisations)
    spare = cycle(OTHERS)
    found = {name: KNOWN.get(name) or next(spare) for name in names if name != RANDOM}
    return found | ({RANDOM: KNOWN[RANDOM]} if RANDOM in names else {})


def bars(data: Data, fraction: float) -> list[Chart]:
    """Return bar charts for each task and encoder: frozen, full and adapter, with a bar for each kind of weights."""
    found = []
    for task, encoder, title in data.pairs():
        part = data.part(data.shown, task, encoder)
        part = part[(part["fraction"] == fraction) & part["n"].gt(0)]
        if len(part):
            found.append(Chart(title, partial(_bars, part, colours(data.config), data.metric(task))))
    return found


def convergence(data: Data, fraction: float) -> list[Chart]:
    """Return line charts for each task and encoder: the figure on val by epoch, mean and spread over seeds."""
    found = []
    for task, encoder, title in data.pairs():
        part, column = data.part(data.curves, task, encoder), f"val_{data.metric(task)}"
        if column in part and part[part["fraction"] == fraction][column].notna().any():
            part = part[part["fraction"] == fraction]
            found.append(Chart(title, partial(_convergence, part, colours(data.config), column)))
    return found


def label_curves(data: Data) -> list[Chart]:
    """Return line charts of the figure over the label fraction, for tasks and encoders with several fractions."""
    found = []
    for task, encoder, title in data.pairs():
        part = data.part(data.shown, task, encoder)
        part = part[part["n"].gt(0)]
        if part["fraction"].nunique() > 1:
            found.append(Chart(title, partial(_label_curves, part, colours(data.config), data.metric(task))))
    return found


def save(kind: Kind, config: GridConfig, path: Path) -> Path:
    """Save all charts of a kind as one PNG on white, with a legend below."""
    theme, columns = Theme(), min(3, len(kind.charts))
    rows = -(-len(kind.charts) // columns)
    with mpl.rc_context({"font.family": "DejaVu Sans"}):
        figure = Figure(figsize=(SIZE[0] * columns, SIZE[1] * rows + 0.9), layout="constrained")
        figure.suptitle(kind.heading, fontsize=11, color=theme.ink)
        for k, chart in enumerate(kind.charts):
            axes = figure.add_subplot(rows, columns, k + 1)
            chart.draw(axes, theme)
            axes.set_title(chart.title, loc="left", fontsize=9.5, color=theme.ink)
        keys = _key(config, kind.styles)
        figure.legend(
            handles=keys,
            loc="outside lower center",
            ncols=8,
            frameon=False,
            fontsize=8.5,
            labelcolor=theme.ink,
        )
        with replacing(path) as temporary:
            figure.savefig(temporary, format="png", dpi=150, metadata={"Software": None})
    return path


def _key(config: GridConfig, styles: bool) -> list[Line2D]:
    width = 1.6 if styles else 6
    handles = [
        Line2D([], [], color=colour, linewidth=width, label=name) for name, colour in colours(config).items()
    ]
    names = {"frozen": "frozen", "finetune": "full", "adapter": "adapter"} if styles else {}
    return handles + [
        Line2D([], [], color=Theme().muted, linestyle=STYLES[name], label=word)
        for name, word in names.items()
    ]


def _bars(part: pd.DataFrame, colour: dict[str, str], metric: str, axes: Axes, theme: Theme) -> None:
    names = [name for name in colour if (part["initialisation"] == name).any()]
    columns = [c for c, protocols in COLUMNS.items() if part["protocol"].isin(protocols).any()]
    width = 0.8 / len(names)
    for k, name in enumerate(names):
        for place, column in enumerate(columns):
            rows = part[(part["initialisation"] == name) & part["protocol"].isin(COLUMNS[column])]
            if rows.empty:
                continue
            row, x = rows.iloc[0], place + (k - (len(names) - 1) / 2) * width
            axes.bar(x, 100 * row["mean"], 0.92 * width, color=colour[name])
            if row["spread"] == row["spread"]:
                axes.errorbar(
                    x, 100 * row["mean"], 100 * row["spread"], color=theme.muted, linewidth=1, capsize=1.5
                )
    axes.set_xticks(range(len(columns)), columns)
    _percent(axes, 100 * (part["mean"] + part["spread"].fillna(0)))
    finish(axes, ylabel=f"{figure_title(metric)}, %", theme=theme)


def _convergence(part: pd.DataFrame, colour: dict[str, str], column: str, axes: Axes, theme: Theme) -> None:
    for name in reversed(colour):
        for protocol, style in STYLES.items():
            rows = part[(part["initialisation"] == name) & (part["protocol"] == protocol)]
            if rows.empty:
                continue
            epochs = 100 * rows.groupby("epoch")[column].agg(["mean", "std"])
            axes.plot(epochs.index, epochs["mean"], style, color=colour[name], linewidth=1.4)
            spread = epochs["std"].fillna(0)
            axes.fill_between(epochs.index, epochs["mean"] - spread, epochs["mean"] + spread, color=colour[name],
                              alpha=0.13, linewidth=0)  # fmt: skip
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    finish(axes, "epoch", f"{figure_title(column.removeprefix('val_'))} on val, %", theme=theme)


def _label_curves(part: pd.DataFrame, colour: dict[str, str], metric: str, axes: Axes, theme: Theme) -> None:
    shares = sorted(part["fraction"].unique())
    for name in reversed(colour):
        for protocol, style in STYLES.items():
            rows = part[(part["initialisation"] == name) & (part["protocol"] == protocol)].sort_values(
                "fraction"
            )
            if len(rows):
                axes.errorbar(100 * rows["fraction"], 100 * rows["mean"], 100 * rows["spread"].fillna(0),
                              linestyle=style, marker=MARKERS[protocol], markersize=3.5, color=colour[name],
                              linewidth=1.4, elinewidth=0.8, capsize=1.5)  # fmt: skip
    axes.set_xscale("log")
    axes.set_xticks([100 * share for share in shares])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.minorticks_off()
    axes.set_xlim(100 * shares[0] / 1.25, 100 * shares[-1] * 1.25)
    finish(axes, "% of the labels", f"{figure_title(metric)}, %", theme=theme)


def _percent(axes: Axes, values: pd.Series) -> None:
    """Set the axis from 0, so that bars are comparable, to slightly above the highest value plus spread."""
    axes.set_ylim(0, 1.08 * float(np.nanmax(values)) or 1)
