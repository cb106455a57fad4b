"""A plot of the comparison of strategies."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spectralearth_build.bench.measure import FIRST
from spectralearth_build.bench.planning.comparison import estimated
from spectralearth_build.bench.planning.contest import IN_FULL, KEPT, OURS, Contest
from spectralearth_build.files import replacing

INK, MUTED = "#22262b", "#6a7380"
COLOURS = {
    "fixed lattice": "#9aa5b5",
    "greedy by depth": "#c7a52b",
    "Algorithm 1, 20 kept": "#e0743c",
    "Algorithm 1, 100 kept": "#d4404f",
    "Algorithm 1 on polygons, 20 kept": "#b07aa1",
    "Algorithm 1 on polygons, 100 kept": "#7d4f8c",
    "ours (patches)": "#5b7fd6",
    "ours (series)": "#2f9fb4",
    "ours (pairs)": "#3fae6d",
}
TITLES = {"patches": "patches", "locations_2": "locations with two dates or more", "pairs": "pairs of dates"}


def draw(result: Contest, path: Path, machine: dict[str, float]) -> Path:
    """Write a PNG with yields over the whole archive (top), and seconds and share of the upper bound by component."""
    with mpl.rc_context({"font.family": "DejaVu Sans", "font.size": 8.5, "text.color": INK}):
        figure = Figure(figsize=(12, 8), layout="constrained")
        tiles, count = result.components["tiles"].sum(), len(result.components)
        figure.suptitle(
            f"Planning {tiles:,} tiles in {count:,} components (synthetic footprints, seed "
            f"{machine['seed']:.0f})"
        )
        grid = figure.add_gridspec(2, 6)
        for k, name in enumerate(FIRST.values()):
            _draw_yield(figure.add_subplot(grid[0, 2 * k : 2 * k + 2]), result, name, labelled=k == 0)
        _draw_seconds(figure.add_subplot(grid[1, :3]), result.runs)
        _draw_bound(figure.add_subplot(grid[1, 3:]), result)
        with replacing(path) as temporary:
            figure.savefig(temporary, format="png", dpi=140, metadata={"Software": None})
    return path


def _draw_yield(axes: Axes, result: Contest, name: str, labelled: bool) -> None:
    """Draw bars of one count over the whole archive: estimates for sampled strategies, and the effect of all dates."""
    present = [strategy for strategy in COLOURS if (result.runs["strategy"] == strategy).any()]
    mine = _runs_of(result, OURS["patches"])
    for row, strategy in enumerate(reversed(present)):
        total = estimated(mine, _runs_of(result, strategy), name)
        slow = strategy in KEPT
        axes.barh(row, total, color=COLOURS[strategy], alpha=0.6 if slow else 1, hatch="//" if slow else None,
                  edgecolor="white", linewidth=0)  # fmt: skip
        text, end = f"{total:,.0f}", total
        if slow:
            end = estimated(mine, _runs_of(result, strategy + IN_FULL), name)
            axes.plot(end, row, "|", color=INK, markersize=14)
            text = f"≈ {total:,.0f} ({end:,.0f})"
        if np.isfinite(end):
            axes.annotate(text, (end, row), (5, 0), textcoords="offset points", va="center")
    axes.set_xlim(0, 1.5 * mine[name].sum() or 1)
    axes.set_yticks(range(len(present)), list(reversed(present)) if labelled else [""] * len(present))
    axes.set_title(TITLES[name], loc="left")
    if labelled and any(strategy in KEPT for strategy in present):
        axes.set_xlabel("hatched: estimated from a sample; (|): with all dates")
    _plain(axes)


def _draw_seconds(axes: Axes, runs: pd.DataFrame) -> None:
    for strategy, colour in COLOURS.items():
        run = runs[runs["strategy"] == strategy]
        if len(run) and strategy not in (OURS["series"], OURS["pairs"]):
            done, late = run[run["finished"]], run[~run["finished"]]
            axes.scatter(done["tiles"], done["seconds"], s=7, color=colour, linewidths=0, label=strategy)
            axes.scatter(late["tiles"], late["seconds"], s=36, color=colour, marker="x")
    axes.set(xscale="log", yscale="log", xlabel="tiles in a component", ylabel="seconds (x: ran out of time)")
    axes.set_title("time of the strategy alone, by component", loc="left")
    axes.set_ylim(top=1e3 * axes.get_ylim()[1])  # space for the legend
    axes.legend(frameon=False, markerscale=2, loc="upper left", ncols=2)
    _plain(axes)


def _draw_bound(axes: Axes, result: Contest) -> None:
    for aside, (value, strategy) in zip((0.95, 1, 1.05), OURS.items(), strict=True):
        run = _runs_of(result, strategy).merge(
            result.components.drop(columns=["tiles", "class", "seconds"]), on="component"
        )
        run = run[run[f"bound_{value}"] > 0]
        share = run[f"value_{value}"] / run[f"bound_{value}"]
        axes.scatter(
            aside * run["tiles"], 100 * share, s=7, color=COLOURS[strategy], linewidths=0, label=strategy
        )
    axes.set(
        xscale="log", xlabel="tiles in a component", ylabel="percent of the upper bound", ylim=(None, 101)
    )
    axes.set_title("ours, as share of the upper bound, by component", loc="left")
    axes.legend(frameon=False, markerscale=2, loc="lower right")
    _plain(axes)


def _runs_of(result: Contest, strategy: str) -> pd.DataFrame:
    runs = result.runs
    return runs[(runs["strategy"] == strategy) & runs["finished"]]


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=MUTED, length=2)
    axes.grid(axis="x" if axes.get_xscale() == "linear" else "both", color="#e6e9ed", linewidth=0.6)
    axes.set_axisbelow(True)
