"""Measure everything but pixels, on simulated datasets of several sizes.

``python -m spectralearth_build.bench.driving 10000,1000000 FOLDER`` measures reading the plan, making tasks of cut,
publishing, publishing again, opening, querying, starting a loader and verifying tables. Tables, plan and commit records
are real; shards have one byte. A million patches need about 0.6 GB in FOLDER, which is emptied again but for the table,
bench-driver.parquet.
"""

from __future__ import annotations

import sys
from pathlib import Path

from spectralearth_build.bench.driving.driver import lines, measure
from spectralearth_build.bench.show import save
from spectralearth_build.progress import say
from spectralearth_build.threads import cores

if __name__ == "__main__":
    sizes, folder = sys.argv[1:]
    measured = measure([int(size) for size in sizes.split(",")], Path(folder).resolve())
    for line in lines(measured):
        say(line)
    say(f"bench: wrote {save(measured.assign(cores=cores()), Path(folder) / 'bench-driver.parquet')}")
