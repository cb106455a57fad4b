"""Many light workers of a Dask cluster in one process, each with one thread.

``python -m spectralearth_build.bench.driving.workers ADDRESS COUNT`` runs until the scheduler is gone for good or until
it is stopped.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack

import dask
from distributed import Worker

from spectralearth_build.cluster.environment import DASK_SETTINGS


async def work(address: str, count: int) -> None:
    """Run workers."""
    async with AsyncExitStack() as stack:
        workers = [
            Worker(address, nthreads=1, memory_limit=0, host="127.0.0.1", dashboard=False)
            for _ in range(count)
        ]
        for worker in workers:
            await stack.enter_async_context(worker)
        await asyncio.gather(*(worker.finished() for worker in workers))


if __name__ == "__main__":
    with dask.config.set({**DASK_SETTINGS, "distributed.worker.profile.enabled": False}):
        asyncio.run(work(sys.argv[1], int(sys.argv[2])))
