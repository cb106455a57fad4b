"""Speed of the loader from an object store that answers after a delay, relative to one that answers at once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice, product
from pathlib import Path

import pandas as pd

from spectralearth_build.bench.feeding import object_server
from spectralearth_build.bench.measure import timed
from spectralearth_build.bench.show import table
from spectralearth_build.dataset.access import Dataset
from spectralearth_build.loader.loader import Loader
from spectralearth_build.progress import track
from spectralearth_build.storage.url import Remote
from spectralearth_build.store.codec import PATCH_BYTES

BATCH = 32
_ENVIRONMENT = {"AWS_ALLOW_HTTP": "true", "AWS_SKIP_SIGNATURE": "true", "AWS_REGION": "nowhere"}


def measure(dataset: Path, delays_ms: Sequence[int], batches: int, rounds: int) -> pd.DataFrame:
    """Measure the loader at each delay, in turns.

    Args:
        dataset: a finished dataset with many patches.
        delays_ms: delays of each answer, in milliseconds.
        batches: number of batches to time, after as many that fill the pipeline.
        rounds: number of measurements of each delay.

    Returns:
        Columns delay_ms, round, first_s (seconds until the first batch), patches_s and cpu_ms (of this process, per
        patch).
    """
    found = []
    with _serving(dataset):
        turns = list(product(range(rounds), delays_ms))
        for number, delay in track(turns, "objects", len(turns)):
            found.append((delay, number, *_once(dataset, delay, batches)))
    return pd.DataFrame(found, columns=["delay_ms", "round", "first_s", "patches_s", "cpu_ms"])


def lines(measured: pd.DataFrame, about: str) -> Iterator[str]:
    """Format the result as a table: the best round of each delay, and its ratio to no delay."""
    yield about
    best = measured.groupby("delay_ms").agg(
        first_s=("first_s", "min"), patches_s=("patches_s", "max"), cpu_ms=("cpu_ms", "min")
    )
    nearest = best["patches_s"].iloc[0]
    rows = [
        (f"{delay} ms", row.first_s, row.patches_s, row.patches_s * PATCH_BYTES / 1e6, row.cpu_ms,
         row.patches_s / nearest)
        for delay, row in best.iterrows()
    ]  # fmt: skip
    head = ("delay", "first batch s", "patches/s", "MB/s", "CPU ms a patch", "of the first")
    yield table("loader from an object store", head, rows)


def _once(dataset: Path, delay: int, batches: int) -> tuple[float, float, float]:
    remote = Remote("s3", object_server.bucket(delay), "")
    with timed() as clock:
        running = iter(Loader(Dataset(dataset, remote), BATCH, as_numpy=True))
        next(running)
    first = clock.seconds
    for _ in islice(running, batches):
        pass
    began = _cpu_seconds()
    with timed() as clock:
        count = sum(len(batch["row"]) for batch in islice(running, batches))
    cpu = _cpu_seconds() - began
    running.close()
    return first, count / clock.seconds, 1000 * cpu / count


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system


@contextmanager
def _serving(folder: Path) -> Iterator[None]:
    """Serve a folder in another process, and lead this process's clients there."""
    command = [sys.executable, "-m", object_server.__name__, str(folder.resolve())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        names = (*_ENVIRONMENT, "AWS_ENDPOINT_URL")
        before = {name: os.environ.get(name) for name in names}
        try:
            assert server.stdout is not None
            endpoint = f"http://127.0.0.1:{int(server.stdout.readline())}"
            os.environ.update(_ENVIRONMENT, AWS_ENDPOINT_URL=endpoint)
            yield
        finally:
            server.terminate()
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
