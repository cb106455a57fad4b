"""One run of the plan stage in its own process, to measure its time and memory separately.

``python -m spectralearth_build.bench.planning.stage DATASET WORKERS PRESET`` plans and prints one line of JSON.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from spectralearth_build.bench.measure import counts, peak_mb, timed
from spectralearth_build.cluster import connect
from spectralearth_build.config import load
from spectralearth_build.plan.planner import plan
from spectralearth_build.progress import set_quiet
from spectralearth_build.tables import LOCATIONS


def run(dataset: Path, workers: int, preset: str) -> dict[str, float]:
    """Plan a dataset.

    Args:
        dataset: folder with a tiles.parquet.
        workers: number of processes of the local cluster; 0: run in this process.
        preset: name of a value preset.

    Returns:
        Seconds from tiles.parquet to the tables, start_seconds of the cluster, the counts, driver_mb and worker_mb
        (ru_maxrss of this process and of its largest ended child).
    """
    settings = {"plan.value": preset, "run.dashboard": ""}
    place = {"run.workers": workers} if workers else {"run.scheduler": "inline"}
    config = load(None, settings | place)
    began = time.perf_counter()
    with connect(config.run) as executor:
        started = time.perf_counter() - began
        with timed() as clock:
            plan(dataset, config, executor)
    memory = {"driver_mb": peak_mb(), "worker_mb": peak_mb(resource.RUSAGE_CHILDREN) if workers else 0.0}
    found = counts(LOCATIONS.read(dataset, ["n"])["n"].to_numpy())
    return {"seconds": clock.seconds, "start_seconds": started, **memory, **found}


if __name__ == "__main__":
    set_quiet(True)
    print(json.dumps(run(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])))
