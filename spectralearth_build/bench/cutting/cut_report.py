"""The output of `bench cut`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from spectralearth_build.bench.show import table
from spectralearth_build.files import replacing

BARS = {
    "windows": ("window by window, reading only", "#c7a52b"),
    "cut": ("ours: decoded, cut, encoded, written", "#3fae6d"),
    "cut_cold": ("ours, file not in the page cache", "#2f9fb4"),
    "decode": ("decoding alone", "#5b7fd6"),
    "encode": ("encoding alone (after decoding)", "#9aa5b5"),
}


def rates(measured: pd.DataFrame) -> pd.DataFrame:
    """Return the measurements with their ratios.

    Adds checksum_ms (per patch), checksum_of_cut and content_ms (per tile), all of CPU time; of_limit (decoding and
    encoding alone over `cut`), of_limit_cpu (the same in CPU seconds, which other work on the machine hardly changes),
    of_limit_cold (the same with cold files), over_windows (window by window over `cut`), decode_mb_cpu_s and
    encode_mb_cpu_s (of one core), decode_mb_s, encode_mb_s, write_mb_s (of raw patches) and cut_mb_s.
    """
    steps = measured
    worked = steps["decode_cpu"] + steps["encode_cpu"]
    limit, cold = steps["decode"] + steps["encode"], steps["decode_cold"] + steps["encode"]
    return steps.assign(
        checksum_ms=1000 * steps["checksum_cpu"] / steps["patches"],
        checksum_of_cut=steps["checksum_cpu"] / steps["cut_cpu"],
        content_ms=1000 * steps["content_cpu"],
        of_limit=limit / steps["cut"],
        of_limit_cpu=worked / steps["cut_cpu"],
        of_limit_cold=cold / steps["cut_cold"],
        over_windows=steps["windows"] / steps["cut"],
        decode_mb_cpu_s=steps["read_mb"] / steps["decode_cpu"],
        encode_mb_cpu_s=steps["patch_mb"] / steps["encode_cpu"],
        decode_mb_s=steps["read_mb"] / steps["decode"],
        encode_mb_s=steps["patch_mb"] / steps["encode"],
        write_mb_s=steps["patch_mb"] / steps["write"],
        cut_mb_s=steps["patch_mb"] / steps["cut"],
    )


def lines(measured: pd.DataFrame, machine: dict[str, object]) -> Iterator[str]:
    """Format the measurements as tables."""
    found = rates(measured)
    yield (
        f"{found['patches'].iloc[0]} patches of a tile of {found['tile_mb'].iloc[0]:.0f} MB (224 bands) with "
        f"{found['threads'].iloc[0]} threads, codec {machine['codec']}; {machine['cores']} cores; the "
        "fastest of "
        f"{machine['rounds']} rounds"
    )
    head = ("layout", "file MB", "decode s", "encode s", "write s", "cut s", "/limit", "/limit CPU", "windows s",
            "windows / cut", "decode cold", "cut cold", "/limit")  # fmt: skip
    cells = [
        (r.layout, r.file_mb, r.decode, r.encode, r.write, r.cut, r.of_limit, r.of_limit_cpu, r.windows, r.over_windows,
         r.decode_cold, r.cut_cold, r.of_limit_cold)
        for r in found.itertuples()
    ]  # fmt: skip
    yield table("Cutting a tile, by the layout of its file", head, cells)
    names = ("layout", "decode MB/s", "encode MB/s", "decode MB/CPU s", "encode MB/CPU s",
             "write MB/s", "cut MB/s", "decoded / tile", "read / file",
            "peak MB", "projected MB")  # fmt: skip
    rows = [
        (r.layout, r.decode_mb_s, r.encode_mb_s, r.decode_mb_cpu_s, r.encode_mb_cpu_s,
         r.write_mb_s, r.cut_mb_s, r.decoded, r.file_bytes_read, r.peak_mb,
         r.projected_mb)
        for r in found.itertuples()
    ]  # fmt: skip
    yield table("Rates, bytes and memory", names, rows)
    columns = ("layout", "checksum ms/patch", "checksum % of cut", "content ms/tile")
    checks = [(r.layout, r.checksum_ms, 100 * r.checksum_of_cut, r.content_ms) for r in found.itertuples()]
    yield table("Checks, CPU time", columns, checks)
    yield "/limit: decoding and encoding alone, one after the other, over cutting end to end; CPU: in CPU seconds."
    yield "windows: rasterio reads each window by itself with a cache of 64 MB; nothing is encoded or written."
    yield "checksum: of all patches, as in patches.parquet; content: reading and hashing samples of the image."
    yield "decoded / tile: bytes of decoded pixels over those of all bands; read / file: bytes the system gave."


def draw(measured: pd.DataFrame, path: Path, machine: dict[str, object]) -> Path:
    """Write a PNG of seconds by layout."""
    found = rates(measured)[::-1].reset_index(drop=True)
    with mpl.rc_context({"font.family": "DejaVu Sans", "font.size": 8.5}):
        figure = Figure(figsize=(10, 1.2 + 0.95 * len(found)), layout="constrained")
        axes = figure.subplots()
        place, high = np.arange(len(found)), 0.19
        for row, step in enumerate(("windows", "cut", "cut_cold")):
            name, colour = BARS[step]
            axes.barh(place + (1.5 - row) * high, found[step], high, color=colour, label=name)
        for step, left in (("decode", 0.0), ("encode", found["decode"])):
            name, colour = BARS[step]
            axes.barh(place - 1.5 * high, found[step], high, left=left, color=colour, label=name)
        for row in found.itertuples():
            text = f"{100 * row.of_limit:.0f} % of the limit, {row.over_windows:.1f} times window by window"
            axes.annotate(
                text, (row.cut, row.Index + 0.5 * high), (4, 0), textcoords="offset points", va="center"
            )
        axes.set_xlim(0, 1.3 * float(found[["windows", "cut", "cut_cold"]].to_numpy().max()))
        axes.set_yticks(place, list(found["layout"]))
        axes.set_xlabel("seconds for one tile")
        axes.set_title(
            f"Cutting one tile: {machine['cores']} cores, {found['threads'].iloc[0]} threads", loc="left"
        )
        axes.spines[["top", "right"]].set_visible(False)
        figure.legend(frameon=False, loc="outside lower center", ncols=3)
        with replacing(path) as temporary:
            figure.savefig(temporary, format="png", dpi=140, metadata={"Software": None})
    return path
