"""Environment variables and Dask settings of workers, with the reason for each."""

from __future__ import annotations

from typing import Any

THREADS = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "BLOSC_NTHREADS": "1",
}
"""One thread per process, since the processes already use all cores."""

WORKER_ENVIRONMENT = {
    "GDAL_CACHEMAX": "64",  # MB; the default is 5 % of the memory for each process
    "GDAL_NUM_THREADS": "1",
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # do not search for sidecar files
    "GDAL_PAM_ENABLED": "NO",  # an .aux.xml would silently override CRS, transform and nodata
    **THREADS,
}
"""Environment of every worker process."""

DASK_SETTINGS: dict[str, Any] = {
    "distributed.scheduler.allowed-failures": 1,  # a task that lost two workers runs alone, see isolate.py
    "distributed.scheduler.worker-saturation": 1.0,  # a worker holds only tasks that it runs
    "distributed.scheduler.no-workers-timeout": "5 minutes",  # else a run without workers hangs forever
    # Tasks keep their data on disk, so there is nothing to spill, and a paused worker would hang the run.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.95,
    "distributed.nanny.pre-spawn-environ": {"MALLOC_TRIM_THRESHOLD_": 65536, **THREADS},
    # Each connection keeps its latest messages for developers. With tasks in them, these are gigabytes.
    "distributed.admin.low-level-log-length": 20,
    "distributed.admin.tick.limit": "10s",  # do not warn about a busy machine
}
"""Dask settings of a cluster that this package starts."""

JOB_SETTINGS: dict[str, Any] = DASK_SETTINGS | {
    "distributed.scheduler.allowed-failures": 3,  # jobs are preempted and cancelled; a task is rarely to blame
    "distributed.scheduler.no-workers-timeout": None,  # jobs may wait in the queue for days
}
"""Dask settings of a cluster whose workers are jobs of a batch system."""
