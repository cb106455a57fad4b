"""Time and memory of what the driver does, by number of patches: each step in a process of its own.

``python -m spectralearth_build.bench.driving.driver DATASET STEP`` runs one step and prints one line of JSON.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from spectralearth_build.bench.driving.simulated import simulate
from spectralearth_build.bench.measure import APART, peak_mb, timed
from spectralearth_build.bench.show import table
from spectralearth_build.checking.affected import Affected
from spectralearth_build.checking.audit import audit
from spectralearth_build.checking.damage import Damage
from spectralearth_build.cutting.task import Tasks
from spectralearth_build.dataset.access import open_dataset
from spectralearth_build.errors import BuildError
from spectralearth_build.layout import shard_name
from spectralearth_build.loader.loader import Loader
from spectralearth_build.progress import set_quiet, track
from spectralearth_build.publishing.publish import publish
from spectralearth_build.store.planned import load_plan
from spectralearth_build.tables import PATCHES

ASKED = 1000
"""Tasks that are made."""
REGION, EARTH = (9.0, 0.0, 18.0, 1.0), (-180.0, -90.0, 180.0, 90.0)
"""West, south, east and north of queries, in degrees."""
QUERIED = ("patch_id", "location_id", "acquired", "store_row", "checksum")


def load(dataset: Path) -> dict[str, float]:
    """Read the plan, as cut does."""
    planned = load_plan(dataset)
    return {"count": len(planned.live) + 0 * len(planned.able)}


def tasks(dataset: Path) -> dict[str, float]:
    """Make some tasks of cut, after reading the plan."""
    planned = load_plan(dataset)
    made = Tasks(dataset, dataset, planned, planned.shards_by_tile)
    names = random.Random(0).choices(list(made), k=ASKED)
    made[names[0]]
    began = time.process_time()
    for name in names:
        made[name]
    return {"count": ASKED, "each_ms": (time.process_time() - began) / ASKED * 1000}


def first(dataset: Path) -> dict[str, float]:
    """Publish the dataset."""
    return {"count": publish(dataset).written}


def again(dataset: Path) -> dict[str, float]:
    """Publish it again, when there is nothing to be done."""
    return {"count": publish(dataset).written}


def anew(dataset: Path) -> dict[str, float]:
    """Publish it again, and read everything."""
    return {"count": publish(dataset, anew=True).written}


def opened(dataset: Path) -> dict[str, float]:
    """Open the dataset."""
    return {"count": int(open_dataset(dataset) is not None)}


def region(dataset: Path) -> dict[str, float]:
    """Open the dataset and find the patches of a region."""
    return {"count": len(open_dataset(dataset).query(bbox=REGION, columns=QUERIED))}


def earth(dataset: Path) -> dict[str, float]:
    """Open the dataset and find the patches of the whole earth."""
    return {"count": len(open_dataset(dataset).query(bbox=EARTH, columns=QUERIED))}


def loader(dataset: Path) -> dict[str, float]:
    """Start a loader of all patches, up to where it would read pixels."""
    return {"count": len(Loader(dataset, batch_size=1, as_numpy=True))}


def missing(dataset: Path) -> dict[str, float]:
    """Name the patches of a tenth of all shards, as verify does if they are missing."""
    planned = load_plan(dataset)
    affected = Affected.read(planned.folders[PATCHES.file])
    damages = [Damage("FileMissing", shard_name(shard), "") for shard in range(0, planned.shards, 10)]
    began = time.process_time()
    count = sum(len(affected.named(damage).patches) for damage in damages)
    return {"count": count, "each_ms": (time.process_time() - began) / len(damages) * 1000}


def tables(dataset: Path) -> dict[str, float]:
    """Verify the tables against each other."""
    planned = load_plan(dataset)
    return {"count": len(audit(planned.folders, planned.shard_rows))}


STEPS = {
    "load the plan": load,
    "make 1,000 tasks": tasks,
    "publish": first,
    "publish again": again,
    "publish again, reading everything": anew,
    "open": opened,
    "open and query a region": region,
    "open and query the whole earth": earth,
    "open and start a loader": loader,
    "name patches of missing shards": missing,
    "verify tables": tables,
}


def measure(sizes: Sequence[int], work: Path) -> pd.DataFrame:
    """Simulate datasets and measure every step.

    Args:
        sizes: numbers of patches.
        work: folder for the datasets, which are deleted again.

    Returns:
        One row per size and step: patches, step, seconds, cpu_seconds, peak_mb, count and each_ms.
    """
    rows: list[dict[str, Any]] = []
    for patches in track(sorted(sizes), "bench", len(sizes)):
        dataset = simulate(work / f"driver-{patches}", patches)
        rows += [{"patches": patches, "step": step} | _apart(dataset, step) for step in STEPS]
        shutil.rmtree(dataset)
    return pd.DataFrame(rows)


def _apart(dataset: Path, step: str) -> dict[str, float]:
    command = [*APART, sys.executable, "-m", __name__, str(dataset), step]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"The step '{step}' failed: {done.stderr.strip()[-500:]}", dataset)
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def lines(measured: pd.DataFrame) -> Iterator[str]:
    """Format the measurements as a table."""
    head = ("step", "patches", "seconds", "CPU seconds", "peak MB", "ms each")
    cells = [
        (r.step, f"{r.patches:,}", r.seconds, r.cpu_seconds, r.peak_mb, r.each_ms)
        for r in measured.sort_values(["step", "patches"], key=_order).itertuples()
    ]
    yield table("The driver, by number of patches", head, cells)
    yield "peak MB: ru_maxrss of a process of its own for each step; ms each: CPU time of a task or shard."


def _order(column: pd.Series) -> pd.Series:
    return column.map(list(STEPS).index) if column.name == "step" else column


def run(dataset: Path, step: str) -> dict[str, float]:
    """Run one step in this process and measure it."""
    began = time.process_time()
    with timed() as clock:
        found = STEPS[step](dataset)
    cpu = time.process_time() - began
    return {
        "seconds": clock.seconds,
        "cpu_seconds": cpu,
        "peak_mb": peak_mb(),
        "each_ms": float("nan"),
    } | found


if __name__ == "__main__":
    set_quiet(True)
    print(json.dumps(run(Path(sys.argv[1]), sys.argv[2])))
