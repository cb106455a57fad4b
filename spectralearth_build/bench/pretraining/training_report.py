"""The output of `bench pretrain`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from spectralearth_build.bench.show import percent, table
from spectralearth_build.files import replacing


def lines(rows: pd.DataFrame, about: str) -> Iterator[str]:
    """Format the table for the terminal."""
    limit, copies = rows["matrix_flops_per_s"].iloc[0], rows["copy_bytes_per_s"].iloc[0]
    yield f"{about}; bf16 matrix products {limit / 1e12:.3g} TFLOP/s, copying {copies / 1e9:.3g} GB/s, both measured"
    head = (
        "objective, encoder",
        "input",
        "batch",
        "samples/s",
        "GFLOP/sample",
        "MB kept/sample",
        "TFLOP/s",
        "of limit",
        "waiting",
        "MB",
    )
    yield table(
        "pretraining",
        head,
        [
            (
                row.case,
                row.input,
                row.batch,
                row.samples_per_s,
                row.gflop_per_sample,
                row.kept_mb_per_sample,
                row.flops_per_s / 1e12,
                percent(row.share_of_limit),
                percent(row.waiting),
                row.memory_mb,
            )
            for row in rows.itertuples()
        ],
    )


def draw(rows: pd.DataFrame, path: Path, about: str) -> Path:
    """Draw bars of the share of the device's measured matrix rate, and return the path."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 0.55 * len(rows) + 1.4), layout="constrained")
    axes = figure.add_subplot()
    labels = [f"{row.case}, {row.input}" for row in rows.itertuples()]
    shares = 100 * rows["share_of_limit"].to_numpy(float)
    bars = axes.barh(labels, shares, color="#1f6f8b")
    speeds = [f" {row.samples_per_s:.3g} samples/s" for row in rows.itertuples()]
    axes.bar_label(bars, speeds, fontsize=8)
    axes.set_xlim(0, max(1.0, 1.35 * shares.max()))
    axes.invert_yaxis()
    axes.set_xlabel("arithmetic, % of measured bf16 matrix rate", fontsize=9)
    axes.set_title(about, fontsize=9, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
    return path
