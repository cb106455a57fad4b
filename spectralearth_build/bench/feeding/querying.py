"""Cost of opening, querying and beginning to load a dataset with tables of any size, and of single patches."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import psutil

from spectralearth_build.bench.feeding.large_tables import write_tables
from spectralearth_build.bench.measure import peak_mb
from spectralearth_build.bench.show import table
from spectralearth_build.dataset.access import Dataset, open_dataset
from spectralearth_build.files import PARTIAL
from spectralearth_build.layout import MANIFEST
from spectralearth_build.loader.loader import Loader
from spectralearth_build.reading.reader import array_of, open_reader
from spectralearth_build.signals import raise_if_stopped
from spectralearth_build.store.codec import PATCH_SHAPE

WORLD, SMALL, WIDE = (-180, -90, 180, 90), (6, 44, 12, 47), (-10, -60, 60, 60)
COLUMNS = ("patch_id", "location_id", "acquired", "store_row", "checksum")
CONDITIONS = {"time": ("2023-01-01", "2024-01-01"), "max_cloud": 0.05, "min_dates": 2}
READS = 40
"""Patches of a round."""


def prepare(work: Path, pixels: Path | None, locations: int, patches: int) -> Path:
    """Return a dataset of this size below a folder, made if it does not exist.

    Raises:
        UsageError, DamagedError: the dataset ``pixels`` cannot be read.
    """
    if pixels is not None:
        open_dataset(pixels).query(columns=["patch_id"])
    folder = work / f"tables-{locations}-{patches}{'' if pixels is None else f'-{_key(pixels)}'}"
    if not folder.is_dir():
        work.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=work, suffix=PARTIAL, ignore_cleanup_errors=True) as made:
            write_tables(Path(made) / folder.name, locations, patches, pixels=pixels)
            (Path(made) / folder.name).rename(folder)
    return folder


def _key(pixels: Path) -> str:
    """Return what tells datasets, and states of a dataset, apart."""
    place = os.fsencode(pixels.resolve())
    return f"{pixels.name}-{hashlib.sha256(place + (pixels / MANIFEST).read_bytes()).hexdigest()[:12]}"


def measure(folder: Path, pixels: bool) -> pd.DataFrame:
    """Measure each step once, in a process that has done none of them.

    Args:
        folder: output of `prepare`.
        pixels: whether its store has pixels.

    Returns:
        Columns step, rows (of the result), cpu_s (of this process), wall_s and resident_mb (after the step).
    """
    opened: list[Dataset] = []

    def opening() -> int:
        opened.append(open_dataset(folder))
        return 0

    def query(**conditions: object) -> Callable[[], int]:
        return lambda: len(opened[0].query(**conditions, columns=COLUMNS))  # type: ignore[arg-type]

    steps: dict[str, Callable[[], int]] = {
        "open": opening,
        "whole earth": query(bbox=WORLD),
        "whole earth, again": query(bbox=WORLD),
        "small box, first": query(bbox=SMALL),
        "small box, again": query(bbox=SMALL),
        "wide box, time, cloud, dates": query(bbox=WIDE, **CONDITIONS),
        "all of a small box's columns": lambda: len(opened[0].query(bbox=SMALL)),
    }
    if pixels:
        steps["loader of patches, made"] = lambda: len(Loader(folder, as_numpy=True))
        steps["loader of two dates, made"] = lambda: len(Loader(folder, dates=2, as_numpy=True))
    rows = []
    for step, action in steps.items():
        raise_if_stopped()
        rows.append(_timed(step, action))
    return pd.DataFrame(rows)


def patch_cost(folder: Path, rounds: int = 5) -> dict[str, float]:
    """Return the CPU milliseconds of `Dataset.patch` and of the reader alone, in turns; best of all rounds."""
    dataset, reader = open_dataset(folder), open_reader(array_of(folder))
    rows = dataset.query(columns=["location_id", "datatake", "store_row"]).sample(READS, random_state=0)
    asked = list(rows.itertuples(index=False, name=None))

    def by_reader() -> None:
        for _, _, row in asked:
            reader.read_into(row, np.empty(PATCH_SHAPE, np.int16))

    def by_dataset() -> None:
        for location, datatake, _ in asked:
            dataset.patch(location, datatake)

    found: dict[str, float] = {}
    for name, action in [
        ("first patch", by_dataset),
        *[("reader", by_reader), ("Dataset.patch", by_dataset)] * rounds,
    ]:
        began = time.process_time()
        action()
        found[name] = min(found.get(name, np.inf), 1000 * (time.process_time() - began) / READS)
    return found


def lines(measured: pd.DataFrame, patch: dict[str, float], about: str) -> Iterator[str]:
    """Format the result as tables."""
    yield about
    head = ("step", "rows", "CPU s", "wall s", "resident MB")
    yield table("queries", head, list(measured.itertuples(index=False, name=None)))
    yield f"peak memory {peak_mb():.0f} MB"
    if patch:
        ratio = patch["Dataset.patch"] / patch["reader"]
        each = ", ".join(f"{name} {cost:.2f}" for name, cost in patch.items() if name != "first patch")
        yield f"CPU ms a patch: {each}; ratio {ratio:.2f}"


def _timed(step: str, action: Callable[[], int]) -> dict[str, object]:
    cpu, wall = time.process_time(), time.perf_counter()
    rows = action()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    resident = psutil.Process().memory_info().rss / 1e6
    return {"step": step, "rows": rows, "cpu_s": cpu, "wall_s": wall, "resident_mb": resident}
