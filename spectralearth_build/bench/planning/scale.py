"""The cost of planning by archive size, and the yield of each preset.

The real plan stage runs in a child process, from tiles.parquet to the four tables of the plan.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, StrMethodFormatter

from spectralearth_build.bench.measure import APART, FIRST, timed
from spectralearth_build.bench.show import table
from spectralearth_build.errors import BuildError
from spectralearth_build.files import replacing
from spectralearth_build.progress import track
from spectralearth_build.synthetic.footprints import footprints
from spectralearth_build.tables import TILES

WORKERS = (0, 2)
"""Numbers of workers: the stage runs in one process, and on a local cluster of two workers."""
ARCHIVE = 11_636
"""Number of tiles of SpectralEarth's archive. Presets are compared at the closest size."""


def scale(sizes: Sequence[int], seed: int) -> pd.DataFrame:
    """Plan synthetic archives of several sizes.

    Args:
        sizes: numbers of tiles.
        seed: random seed of the archives.

    Returns:
        One row per run: tiles, workers, preset, process_seconds (of the whole process, including its start), and the
        output of `stage.run`.
    """
    nearest = min(sizes, key=lambda tiles: abs(tiles - ARCHIVE))
    wanted = [(tiles, workers, "patches") for tiles in sorted(sizes) for workers in WORKERS]
    wanted += [(nearest, WORKERS[-1], preset) for preset in FIRST if preset != "patches"]
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for tiles in set(sizes):
            TILES.write(footprints(tiles, seed), _made(Path(folder) / str(tiles)))
        rehearsal = [(min(sizes), 0, "patches")]  # so that no measured run has to compile
        for tiles, workers, preset in track(rehearsal + wanted, "bench", 1 + len(wanted)):
            dataset = _made(Path(folder) / "dataset")
            shutil.copy(Path(folder) / str(tiles) / TILES.file, dataset)
            with timed() as clock:
                measured = _in_child(dataset, workers, preset)
            about = {"tiles": tiles, "workers": workers, "preset": preset, "process_seconds": clock.seconds}
            rows.append(about | measured)
            shutil.rmtree(dataset)
    return pd.DataFrame(rows[1:])


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _in_child(dataset: Path, workers: int, preset: str) -> dict[str, float]:
    command = [*APART, sys.executable, "-m", f"{__package__}.stage", str(dataset), str(workers), preset]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"Planning failed: {done.stderr.strip()[-500:]}", dataset)
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def lines(runs: pd.DataFrame, cores: int, seed: int) -> Iterator[str]:
    """Format the runs as tables."""
    yield f"{cores} cores, seed {seed}; from tiles.parquet to the four tables, each run in a process of its own"
    head = ("tiles", "where", "seconds", "per 1,000 tiles", "with start", "MB driver", "MB largest worker")
    cells = [
        (f"{r.tiles:,}", _where(r.workers), r.seconds, 1000 * r.seconds / r.tiles, r.process_seconds, r.driver_mb,
         r.worker_mb or "-")
        for r in runs[runs["preset"] == "patches"].itertuples()
    ]  # fmt: skip
    yield table("Planning, by size of the archive", head, cells)
    yield "MB: ru_maxrss of a process; in all at most that of the driver and of the largest worker times the workers."
    presets = runs[runs.duplicated(["tiles", "workers"], keep=False)]
    names = ("preset", "patches", "locations", ">= 2 dates", ">= 3", ">= 5", "pairs", "seconds")
    found = [
        (r.preset, r.patches, r.locations, r.locations_2, r.locations_3, r.locations_5, r.pairs, r.seconds)
        for r in presets.itertuples()
    ]
    yield table(f"Presets on the same archive, {presets['tiles'].iloc[0]:,} tiles", names, found)


def draw(runs: pd.DataFrame, path: Path) -> Path:
    """Plot time and memory by archive size as a PNG."""
    runs = runs[runs["preset"] == "patches"]
    with mpl.rc_context({"font.family": "DejaVu Sans", "font.size": 9}):
        figure = Figure(figsize=(9, 4), layout="constrained")
        left, right = figure.subplots(1, 2)
        for (workers, run), colour in zip(runs.groupby("workers"), ("#5b7fd6", "#e0743c"), strict=False):
            where = _where(int(str(workers)))
            left.plot(run["tiles"], run["seconds"], "o-", color=colour, label=where)
            for tiles, seconds in zip(run["tiles"], run["seconds"], strict=True):
                left.annotate(
                    f"{seconds:.3g}", (tiles, seconds), (5, -9), textcoords="offset points", color=colour
                )
            right.plot(run["tiles"], run["driver_mb"], "o-", color=colour, label=f"{where}: driver")
            if run["worker_mb"].any():
                right.plot(run["tiles"], run["worker_mb"], "o--", color=colour, label="largest worker")
        first = runs.iloc[0]
        linear = runs["tiles"] * first["seconds"] / first["tiles"]
        left.plot(runs["tiles"], linear, ":", color="#6a7380", label="linear in tiles", zorder=0)
        _dress(left, "seconds, from tiles.parquet to the four tables")
        _dress(right, "peak memory of a process, MB (ru_maxrss)")
        right.set(yscale="linear", ylim=(0, None))
        for axes in (left, right):
            axes.set_xticks(runs["tiles"].unique())
        with replacing(path) as temporary:
            figure.savefig(temporary, format="png", dpi=140, metadata={"Software": None})
    return path


def _dress(axes: Axes, title: str) -> None:
    axes.set(xscale="log", yscale="log", xlabel="tiles")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(StrMethodFormatter("{x:,g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.set_title(title, loc="left", fontsize=9.5)
    axes.grid(color="#e6e9ed", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)


def _where(workers: int) -> str:
    return f"{workers} workers" if workers else "one process"
