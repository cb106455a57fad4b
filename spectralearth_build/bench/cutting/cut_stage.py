"""One task of cut in its own process, to measure its memory separately.

``python -m spectralearth_build.bench.cutting.cut_stage JOB`` runs the job in a file and prints one line of JSON.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
from pathlib import Path

from spectralearth_build.bench.measure import peak_mb
from spectralearth_build.cluster.environment import WORKER_ENVIRONMENT


def run(job: Path) -> dict[str, float]:
    """Cut a tile, and return peak_mb (ru_maxrss of this process).

    Args:
        job: pickled arguments of `cut_tile`, written by `bench.cutting.cut`.
    """
    os.environ.update(WORKER_ENVIRONMENT)
    from spectralearth_build.cluster import dask_executor  # workers have it loaded too
    from spectralearth_build.cutting.cut_tile import cut_tile

    assert dask_executor
    cut_tile(*pickle.loads(job.read_bytes()))
    return {"peak_mb": peak_mb()}


if __name__ == "__main__":
    print(json.dumps(run(Path(sys.argv[1]))))
