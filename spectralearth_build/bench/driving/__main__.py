"""Measure everything but pixels, on simulated datasets.

``python -m spectralearth_build.bench.driving 10000,1000000 FOLDER`` measures reading the plan, making tasks of cut,
publishing, publishing again, opening, querying, starting a loader and verifying tables, for datasets of several sizes.
Tables, plan and commit records are real; shards have one byte. A million patches need about 0.6 GB in FOLDER, which is
emptied again but for the table, bench-driver.parquet.

``python -m spectralearth_build.bench.driving --tasks 5000 --workers 64 --sleep 0.25 FOLDER`` cuts a dataset of 5,000
tiles with tasks that sleep, on a Dask cluster of 64 light workers, and measures memory, tasks a second and how long
workers wait. The table is bench-lasting.parquet.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from spectralearth_build.bench.driving import driver, lasting
from spectralearth_build.bench.show import save
from spectralearth_build.progress import say
from spectralearth_build.threads import cores


def main() -> None:
    """Run one of both."""
    parser = argparse.ArgumentParser(prog="python -m spectralearth_build.bench.driving")
    parser.add_argument("sizes", nargs="?", help="numbers of patches, separated by commas")
    parser.add_argument("--tasks", type=int, help="number of tiles to cut")
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--sleep", type=float, default=0.25, help="seconds a task")
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    if (given.sizes is None) == (given.tasks is None):
        parser.error("give either sizes or --tasks")
    folder = given.folder.resolve()
    if given.tasks:
        measured, name = (
            lasting.last(folder, given.tasks, given.workers, given.sleep),
            "bench-lasting.parquet",
        )
        told = lasting.lines(measured)
    else:
        measured = driver.measure([int(size) for size in given.sizes.split(",")], folder)
        told, name = driver.lines(measured), "bench-driver.parquet"
    for line in told:
        say(line)
    say(f"bench: wrote {save(measured.assign(cores=cores()), folder / name)}")


if __name__ == "__main__":
    main()
