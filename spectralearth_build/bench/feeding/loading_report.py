"""The output of `bench load`: tables, Parquet and a plot."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from spectralearth_build.bench.feeding.loading import (
    BLOSC,
    FORMS_OF,
    LOADER,
    MEMCPY,
    RAW,
    READER,
    ZARR,
    ZARR_PLAIN,
)
from spectralearth_build.bench.show import table
from spectralearth_build.files import replacing
from spectralearth_build.store.codec import PATCH_BYTES

GEOTIFF = f"{FORMS_OF['geotiff']}, DataLoader"
INK = "#22262b"
COLOURS = {"limit": "#9aa5b5", "reader": "#5b7fd6", "loader": "#e0743c"}
OURS = "#3fae6d"
NOTES = (
    "MB/s of raw pixels (6.62 MB a patch). Warm: the best of all rounds, in turn with the others. Cold: "
    "once, after "
    "the files were dropped from the page cache; their bytes come from the disk.",
    "Blosc alone lacks the checksum and what is done along the bands; the codec in memory is all that "
    "decoding takes. "
    "Processor time is of this process: what others on the machine do disturbs it little. "
    "One thread decodes into one patch again and again, several into a batch of 64, as reader and loader do.",
)


def rates(measured: pd.DataFrame) -> pd.DataFrame:
    """Return the measurements with patches and MB per second, and milliseconds of CPU time per patch."""
    speed, cpu = (
        measured["patches"] / measured["seconds"],
        1000 * measured["cpu_seconds"] / measured["patches"],
    )
    return measured.assign(patches_s=speed, mb_s=speed * PATCH_BYTES / 1e6, cpu_ms=cpu)


def ratios(measured: pd.DataFrame) -> pd.DataFrame:
    """Return ours over others and over limits, warm and cold: ours, over, how, state, ratio, cpu_ratio.

    ``ratio`` compares speeds. ``cpu_ratio`` compares speeds by CPU time, which other load affects far less.
    """
    found = rates(measured)
    many = next(
        how
        for kind, name, how in zip(found["kind"], found["name"], found["how"], strict=True)
        if name == LOADER
    )
    pairs = [
        *((READER, "1 thread", name, "1 thread") for name in (MEMCPY, BLOSC, RAW, ZARR, ZARR_PLAIN)),
        *((LOADER, many, name, many) for name in (MEMCPY, BLOSC, RAW)),
        *((LOADER, many, name, how) for name, how in _others(found)),
    ]
    rows = []
    for ours, our_how, name, how in pairs:
        for state in ("warm", "cold"):
            mine, theirs = _row(found, ours, our_how, state), _row(found, name, how, state)
            if mine is not None and theirs is not None:
                cpu = theirs["cpu_ms"] / mine["cpu_ms"]
                rows.append((ours, name, how, state, mine["mb_s"] / theirs["mb_s"], cpu))
    return pd.DataFrame(rows, columns=["ours", "over", "how", "state", "ratio", "cpu_ratio"])


def lines(
    measured: pd.DataFrame,
    parts: dict[str, float],
    first: dict[str, float],
    grown: tuple[float, float],
    about: str,
) -> Iterator[str]:
    """Format the result as tables.

    Args:
        measured: output of `loading.contest`.
        parts: output of `loading.parts`.
        first: output of `loading.first_batch`.
        grown: output of `loading.memory`.
        about: patches, codec, cores.
    """
    yield about
    found = rates(measured).pivot(
        index=["kind", "name", "how"], columns="state", values=["patches_s", "mb_s", "cpu_ms"]
    )
    for kind in COLOURS:
        rows = found.loc[kind].sort_values(("mb_s", "warm"), ascending=False)
        columns = [
            ("patches_s", "warm"),
            ("mb_s", "warm"),
            ("cpu_ms", "warm"),
            ("patches_s", "cold"),
            ("mb_s", "cold"),
        ]
        cells = [(*key, *(row.get(column, math.nan) for column in columns)) for key, row in rows.iterrows()]
        yield table(
            f"{kind}s", ("", "", "patches/s warm", "MB/s", "CPU ms a patch", "patches/s cold", "MB/s"), cells
        )
    yield table(
        "ours over", ("", "", "", "state", "times", "by processor time"),
        [(r.ours, r.over, r.how, r.state, r.ratio, r.cpu_ratio) for r in ratios(measured).itertuples()],
    )  # fmt: skip
    yield table("one read, in one thread", ("", "ms"), list(parts.items()))
    yield from (f"first batch of a loader of {name}: {seconds:.2f} s" for name, seconds in first.items())
    yield f"resident memory: {grown[0]:.0f} MB after a tenth of the batches, {grown[1]:.0f} MB at their end"
    yield from NOTES


def draw(measured: pd.DataFrame, path: Path, about: str) -> Path:
    """Write a bar chart of all rates as a PNG: filled bars for warm, lines for cold."""
    found = rates(measured)
    warm = found[found["state"] == "warm"].sort_values("mb_s")
    cold = found[found["state"] == "cold"].set_index(["name", "how"])["mb_s"]
    with mpl.rc_context({"font.family": "DejaVu Sans", "font.size": 8.5, "text.color": INK}):
        figure = Figure(figsize=(10, 8), layout="constrained")
        figure.suptitle(about)
        shares = [max(2, int((warm["kind"] == kind).sum())) for kind in COLOURS]
        panels = figure.subplots(3, 1, sharex=True, gridspec_kw={"height_ratios": shares})
        for (kind, colour), axes in zip(COLOURS.items(), panels, strict=True):
            rows = warm[warm["kind"] == kind]
            labels = [f"{name} ({how})" for name, how in zip(rows["name"], rows["how"], strict=True)]
            colours = [OURS if name.startswith("ours") else colour for name in rows["name"]]
            axes.barh(labels, rows["mb_s"], color=colours, height=0.7)
            for place, row in enumerate(rows.itertuples()):
                axes.annotate(
                    f"{row.mb_s:,.0f}", (row.mb_s, place), (4, 0), textcoords="offset points", va="center"
                )
                if (row.name, row.how) in cold.index:
                    axes.plot(
                        [cold[row.name, row.how]] * 2, [place - 0.35, place + 0.35], color=INK, linewidth=2
                    )
            axes.set_title(f"{kind}s", loc="left")
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(axis="x", color="#e6e9ed", linewidth=0.6)
            axes.set_axisbelow(True)
        panels[-1].set(xscale="log", xlabel="MB/s of raw pixels, log scale; bars: warm, black line: cold")
        with replacing(path) as temporary:
            figure.savefig(temporary, format="png", dpi=140, metadata={"Software": None})
    return path


def _others(found: pd.DataFrame) -> list[tuple[str, str]]:
    loaders = found[(found["kind"] == "loader") & (found["name"] != LOADER)]
    return list(dict.fromkeys(zip(loaders["name"], loaders["how"], strict=True)))


def _row(found: pd.DataFrame, name: str, how: str, state: str) -> pd.Series | None:
    rows = found[(found["name"] == name) & (found["how"] == how) & (found["state"] == state)]
    return rows.iloc[0] if len(rows) else None
