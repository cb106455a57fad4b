"""Cutting of one tile: end to end, window by window, and its steps alone."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import rasterio

from spectralearth_build.archive.identity import sampled
from spectralearth_build.archive.raster import CACHE, open_raster
from spectralearth_build.bench.cutting.cut_cases import LAYOUTS, CutCase, TileData, cases, image_case
from spectralearth_build.bench.measure import APART, timed
from spectralearth_build.cutting.compose import compose
from spectralearth_build.cutting.cut_tile import cut_tile
from spectralearth_build.cutting.sources import SourceCache
from spectralearth_build.errors import BuildError
from spectralearth_build.plan.estimates import PATCH_BYTES, projected_memory
from spectralearth_build.progress import track
from spectralearth_build.store.codec import Patch, checksum_of, encode_patch
from spectralearth_build.store.shard import write_shard

STEPS = ("decode", "decode_cold", "encode", "write", "cut", "cut_cold", "checksum", "content", "windows")
"""The timed steps: decoding the tile, encoding its patches, writing them, all of this as in `cut`, two checks of `cut`,
and reading window by window. Cold: the file is not in the page cache.

The checks are the checksums of the pixels of all patches, on one thread, and the hash that identifies the content of
the image.
"""
COLD = "_cold"
SAMPLED = 16
"""Number of windows to read one by one. The time of the others is assumed to be the same."""


def measure(tile: TileData | None, images: list[Path], codec: str, threads: int, rounds: int) -> pd.DataFrame:
    """Cut a tile in every layout, and unchanged images.

    Args:
        tile: the tile; None: images only.
        images: further images.
        codec: name of the preset.
        threads: number of threads of cutting, decoding and encoding.
        rounds: number of runs of each step, in turn; the fastest counts.

    Returns:
        One row a layout: layout, threads, patches, file_mb, tile_mb (all bands of the tile), read_mb (the kept bands
        of what the windows need), patch_mb, seconds of each of `STEPS` and those that processors worked (with _cpu
        at the end), file_bytes_read (by the system's count, over the file's size; NaN where it does not count), decoded
        (bytes over those of the tile), peak_mb and projected_mb (memory of a process that does nothing but cut it).
    """
    rows: list[dict[str, Any]] = []
    with TemporaryDirectory(prefix="bench-") as folder:
        place = Path(folder) / "case"
        made = cases(tile, codec, place) if tile else iter(())
        layouts = track(made, "bench", len(LAYOUTS) if tile else 0)
        rows.extend(_row(case, threads, rounds) for case in layouts)
        for path in images:
            rows.append(_row(image_case(path, codec, place), threads, rounds))
            shutil.rmtree(place)
    return pd.DataFrame(rows)


def _row(case: CutCase, threads: int, rounds: int) -> dict[str, Any]:
    case = replace(case, task=replace(case.task, threads=threads))
    patches = _patches(case)
    encoded = [encode_patch(patch, case.task.codec) for patch in patches]
    steps: dict[str, Callable[[], object]] = {
        "decode": lambda: _decode(case, threads),
        "encode": lambda: _encode(patches, case.task.codec, threads),
        "write": lambda: _write(case, encoded),
        "cut": lambda: _cut(case),
        "checksum": lambda: [checksum_of(patch) for patch in patches],
        "content": lambda: _content(case),
        "windows": lambda: _windows(case),
    }
    seconds, busy = dict.fromkeys(STEPS, np.inf), dict.fromkeys(STEPS, np.inf)
    for turn in range(rounds):
        for step in (
            STEPS if turn == 0 else STEPS[:-1]
        ):  # reading window by window takes long, and its time varies little
            if step.endswith(COLD):
                _drop(case.image)
            began = time.process_time()
            with timed() as clock:
                steps[step.removesuffix(COLD)]()
            seconds[step] = min(seconds[step], clock.seconds)
            busy[step] = min(busy[step], time.process_time() - began)
    scale = len(patches) / min(SAMPLED, len(patches))
    seconds["windows"], busy["windows"] = scale * seconds["windows"], scale * busy["windows"]
    before = _bytes_read()
    with SourceCache(case.archive, case.dataset, case.task, case.patches) as sources:
        read = sources(case.task.tile_id)
        after, decoded = _bytes_read(), sources.decoded
    size, box = case.image.stat().st_size, case.source.box
    return {
        "layout": case.name,
        "threads": threads,
        "patches": len(patches),
        "file_mb": size / 1e6,
        "tile_mb": decoded.tiles / 1e6,
        "read_mb": read.values.nbytes / 1e6,
        "patch_mb": len(patches) * PATCH_BYTES / 1e6,
        **seconds,
        **{f"{step}_cpu": value for step, value in busy.items()},
        "file_bytes_read": (after - before) / size,
        "decoded": (decoded.own + decoded.neighbours) / decoded.tiles,
        "peak_mb": _peak_mb(case),
        "projected_mb": projected_memory(box.height, box.width, threads) / 1e6,
    }


def _patches(case: CutCase) -> list[Patch]:
    with SourceCache(case.archive, case.dataset, case.task, case.patches) as sources:
        return [compose(patch, sources)[0] for patch in case.patches]


def _decode(case: CutCase, threads: int) -> None:
    with SourceCache(case.archive, case.dataset, case.task, case.patches) as sources:
        reader = sources.reader(case.task.tile_id)
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(reader.read, range(len(reader.parts))))


def _encode(patches: list[Patch], codec: str, threads: int) -> None:
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(lambda patch: encode_patch(patch, codec), patches):
            pass


def _write(case: CutCase, encoded: list[bytes]) -> None:
    rows = case.task.shard_rows
    for shard, first in enumerate(range(0, len(encoded), rows)):
        write_shard(case.dataset / f"written-{shard}", rows, enumerate(encoded[first : first + rows]))


def _content(case: CutCase) -> None:
    """Read what `cut` reads of an image, before and after, to check that it is the image that was scanned."""
    with open_raster(case.image) as image:
        sampled(image, case.image)


def _cut(case: CutCase) -> None:
    cut_tile(case.archive, case.dataset, case.task)


def _windows(case: CutCase) -> None:
    """Read each window separately, from an open file, with a cache smaller than the tile."""
    bands, box = [band + 1 for band in case.source.band_index], case.source.box
    with rasterio.Env(GDAL_CACHEMAX=CACHE, GDAL_NUM_THREADS="1"), rasterio.open(case.image) as dataset:
        for patch in case.patches[:SAMPLED]:
            rows, cols = patch.window.slices(box)
            dataset.read(bands, window=rasterio.windows.Window.from_slices(rows, cols))


def _drop(path: Path) -> None:
    """Drop a file from the page cache, if the system allows it."""
    if hasattr(os, "posix_fadvise"):
        with path.open("rb") as file:
            os.fsync(file.fileno())  # dirty pages would stay
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _bytes_read() -> float:
    """Return the bytes that this process has read so far; NaN if unknown."""
    try:
        counters = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    except OSError:
        return float("nan")
    return float(counters["rchar"])


def _peak_mb(case: CutCase) -> float:
    """Return the peak memory of a process that cuts the tile."""
    job = case.dataset / "job"
    job.write_bytes(pickle.dumps((case.archive, case.dataset, case.task)))
    command = [*APART, sys.executable, "-m", f"{__package__}.cut_stage", str(job)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"Cutting failed: {done.stderr.strip()[-500:]}", case.image)
    return float(json.loads(done.stdout.splitlines()[-1])["peak_mb"])
