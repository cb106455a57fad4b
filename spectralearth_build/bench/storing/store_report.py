"""The output of `bench store`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spectralearth_build.bench.planning.picture import INK, MUTED
from spectralearth_build.bench.show import percent, table
from spectralearth_build.bench.storing.coders import LIMIT
from spectralearth_build.bench.storing.store import REFERENCE_BANDS
from spectralearth_build.files import replacing

OURS, THEIRS = "#3fae6d", "#9aa5b5"
_LABEL: dict[str, Any] = {"xytext": (6, -8), "ha": "left", "fontsize": 6.5, "color": MUTED}
_OURS_LABEL: dict[str, Any] = {
    "xytext": (-7, 4),
    "ha": "right",
    "fontsize": 8,
    "color": INK,
    "weight": "bold",
}
NOTES = (
    "ratio: raw over stored bytes, with checksums; GB/s of raw data, the best of several tries; of the "
    "best: stored "
    "size of the smallest over this one; of the reference: entropy of a least-squares residual over stored "
    "size; "
    "blosc alone: the same bytes decompressed, no checksum, no prediction undone.",
)


def lines(rows: pd.DataFrame, references: Mapping[str, float], machine: Mapping[str, float]) -> Iterator[str]:
    """Format one table per set of pixels.

    Args:
        rows: output of `store.measure`.
        references: output of `store.reference` for each set.
        machine: cores, threads and memory (copy speed in GB/s).
    """
    yield (
        f"{machine['cores']:.0f} cores; copying memory: {machine['memory']:.1f} GB/s; speeds beside other "
        "work on the "
        "machine are lower bounds, ratios of sizes are exact"
    )
    for pixels, part in rows.groupby("pixels", sort=False):
        head = ("coder", "ratio", "of the best", "of the reference", "encode", "decode",
                f"decode, {machine['threads']:.0f} threads", "of blosc alone")  # fmt: skip
        cells = [
            (r.coder, f"{r.ratio:.3f}", percent(r.ratio / part["ratio"].max()),
             percent(r.ratio / references[str(pixels)]), r.encode, r.decode, r.decode_threads,
             percent(_of_limit(r, part)))
            for r in part.itertuples()
        ]  # fmt: skip
        title = f"{pixels}: GB/s (reference of {REFERENCE_BANDS} bands: {references[str(pixels)]:.3f})"
        yield table(title, head, cells)
    yield from NOTES


def _of_limit(row: object, part: pd.DataFrame) -> float:
    limit = part.loc[part["coder"] == f"{row.coder}, blosc alone", "decode"]  # type: ignore[attr-defined]
    return float(row.decode / limit.iloc[0]) if len(limit) else float("nan")  # type: ignore[attr-defined]


def draw(rows: pd.DataFrame, path: Path) -> Path:
    """Write a PNG of compression ratio against decoding speed, with one panel per set of pixels."""
    shown = rows[rows["kind"] != LIMIT]
    sets = list(dict.fromkeys(shown["pixels"]))
    with mpl.rc_context({"font.family": "DejaVu Sans", "font.size": 8.5, "text.color": INK}):
        figure = Figure(figsize=(4.6 * len(sets), 4.8), layout="constrained")
        figure.suptitle("Size and speed of stored patches, one core")
        axes = figure.subplots(1, len(sets), squeeze=False)[0]
        for pixels, ax in zip(sets, axes, strict=True):
            _panel(ax, pixels, shown[shown["pixels"] == pixels])
        with replacing(path) as temporary:
            figure.savefig(temporary, format="png", dpi=130)
    return path


def _panel(ax: Axes, title: str, rows: pd.DataFrame) -> None:
    for row in rows.itertuples():
        ours = row.kind == "preset"
        ax.scatter(row.decode, row.ratio, s=46 if ours else 22, color=OURS if ours else THEIRS, zorder=3)
        ax.annotate(
            row.coder,
            (row.decode, row.ratio),
            textcoords="offset points",
            **(_OURS_LABEL if ours else _LABEL),
        )
    ax.set_title(title, loc="left")
    ax.set_xscale("log")
    ax.set_xlim(rows["decode"].min() / 3, rows["decode"].max() * 12)
    ax.set_xlabel("decoding, GB of raw data a second")
    ax.set_ylabel("raw over stored bytes")
    ax.grid(alpha=0.25)
    ax.spines[["top", "right"]].set_visible(False)
