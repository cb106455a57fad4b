"""The output of `bench plan`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from spectralearth_build.bench.measure import FIRST
from spectralearth_build.bench.planning.comparison import lost, ratios, totals
from spectralearth_build.bench.planning.contest import IN_FULL, KEPT, Contest
from spectralearth_build.bench.planning.picture import draw
from spectralearth_build.bench.show import percent, save, table

LISTED = 10
"""Number of lost components to print. The Parquet file has all."""
NOTES = (
    "late: components that ran out of time; >= k: locations with k dates or more; mean: patches a location; "
    "used: "
    "valid pixels of all datatakes that lie in a patch; /max: of the upper bound; in all: with what all "
    "share.",
    "Algorithm 1 sees tiles one by one. Its windows are counted with the dates of their tuple, as the paper "
    "does, and "
    "once more with all dates of the true cover, which favours it.",
    "Seconds are of the strategy alone; what all share (regions, joining, depth) is done once and given "
    "apart.",
)


def lines(result: Contest, machine: dict[str, float]) -> Iterator[str]:
    """Format the comparison as tables.

    Args:
        result: the measurements.
        machine: cores, seed and peak_mb.
    """
    about = result.components
    yield (
        f"{about['tiles'].sum():,} tiles (seed {machine['seed']:.0f}) in {len(about):,} components, the "
        "largest of "
        f"{about['tiles'].max()} tiles, greatest depth {about['depth'].max()}; {machine['cores']:.0f} "
        "cores, one used"
    )
    yield (
        f"shared by all strategies: {about['seconds'].sum():.1f} s; upper bounds: "
        f"{about['bound_seconds'].sum():.1f} s; peak memory (ru_maxrss): {machine['peak_mb']:.0f} MB"
    )
    every = totals(result)
    slow = every["strategy"].isin([*KEPT, *(name + IN_FULL for name in KEPT)])
    yield _yield_table("The whole archive", every[~slow])
    if slow.any():
        chosen = about[about["sampled"]]
        yield _yield_table(
            f"A sample of {len(chosen)} components ({chosen['tiles'].sum():,} tiles, the largest of "
            f"{chosen['tiles'].max()}); those that ran out of time are left out",
            every[slow],
        )
    yield _ratio_table(ratios(result))
    yield _lost_table(lost(result))
    yield from NOTES


def _yield_table(title: str, rows: pd.DataFrame) -> str:
    head = ("strategy", "tiles", "late", "patches", "locations", ">= 2", ">= 3", ">= 5", "pairs", "mean", "used",
            *(f"{value}/max" for value in FIRST), "seconds")  # fmt: skip
    cells = [
        (r.strategy, r.tiles, r.unfinished, r.patches, r.locations, r.locations_2, r.locations_3, r.locations_5,
         r.pairs, r.mean_dates, percent(r.used_share), *(percent(getattr(r, f"bound_share_{v}")) for v in FIRST),
         r.seconds)
        for r in rows.itertuples()
    ]  # fmt: skip
    return table(title, head, cells)


def _ratio_table(rows: pd.DataFrame) -> str:
    head = ("ours over", "preset", "components", "worse in", "patches", ">= 2", "pairs", "faster", "in all",
            "| patches", ">= 2", "pairs", "faster")  # fmt: skip
    cells = [
        (r.strategy, r.preset, r.components, r.worse, r.patches, r.locations_2, r.pairs, r.seconds, r.seconds_in_all,
         *(_between(r, name) for name in ("patches", "locations_2", "pairs", "seconds")))
        for r in rows.itertuples()
    ]  # fmt: skip
    title = (
        "Ours over each other: on the components that both finished | over the archive "
        "(of a sample: estimated, with the interval that holds 90 % of what other samples would give)"
    )
    return table(title, head, cells)


def _between(row: Any, name: str) -> str:  # noqa: ANN401
    """Format a ratio over the whole archive, with its interval if it is an estimate."""
    middle, low, high = (getattr(row, f"archive_{name}{end}") for end in ("", "_low", "_high"))
    return f"{middle:.3g}" if low == high else f"{middle:.3g} ({low:.3g}-{high:.3g})"


def _lost_table(rows: pd.DataFrame) -> str:
    if rows.empty:
        return "Ours is worth at least as much as every other strategy in every component."
    worst = rows.drop_duplicates("component").head(LISTED)
    cells = [(str(r.component), r.tiles, r.strategy, r.preset, r.ours, r.theirs) for r in worst.itertuples()]
    title = f"Ours is worth less in {rows['component'].nunique()} components; the largest losses"
    return table(title, ("component", "tiles", "strategy", "preset", "ours", "theirs"), cells)


def write(result: Contest, folder: Path, machine: dict[str, float]) -> list[Path]:
    """Write the tables (Parquet) and the plot, and return their paths."""
    frames = {
        "bench-plan": totals(result).assign(**machine),
        "bench-plan-ratios": ratios(result),
        "bench-plan-lost": lost(result),
        "bench-plan-runs": result.runs,
        "bench-plan-components": result.components,
    }
    written = [save(frame, folder / f"{name}.parquet") for name, frame in frames.items()]
    return [*written, draw(result, folder / "bench-plan.png", machine)]
