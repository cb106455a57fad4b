"""Environment and Dask settings that workers need, with the reason for each."""

from __future__ import annotations

from typing import Any

THREADS = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "BLOSC_NTHREADS": "1",
}
"""One thread a process: the processes already fill the machine."""

WORKER_ENVIRONMENT = {
    "GDAL_CACHEMAX": "64",  # MB; the default is 5 % of the memory for each process
    "GDAL_NUM_THREADS": "1",
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # no sidecar beside a raster is looked for
    "GDAL_PAM_ENABLED": "NO",  # an .aux.xml would silently override CRS, transform and nodata
    **THREADS,
}
"""Environment of every worker process."""

DASK_SETTINGS: dict[str, Any] = {
    "distributed.scheduler.allowed-failures": 1,  # who lost two workers is tried alone, see isolate.py
    "distributed.scheduler.worker-saturation": 1.0,  # a worker holds no task that it does not run
    "distributed.scheduler.no-workers-timeout": "5 minutes",  # else a run without workers hangs for ever
    # Tasks leave their data on disk, so there is nothing to spill, and a paused worker would hang the run.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.95,
    "distributed.nanny.pre-spawn-environ": {"MALLOC_TRIM_THRESHOLD_": 65536, **THREADS},
    "distributed.admin.tick.limit": "10s",  # a busy machine is no event worth a warning
}
"""Settings of a cluster that this package starts."""
