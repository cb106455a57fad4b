"""Speed of reading patches and loading batches: ours, others, and the limits of the machine, in one run.

All are measured in turn, in several rounds, and the best round counts, since it is least disturbed on a shared machine.
Orders are random. Worker processes are started and warmed up before.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import numpy.typing as npt
import pandas as pd
import psutil
import zarr

from spectralearth_build.bench.feeding import rivals
from spectralearth_build.bench.feeding.loading_data import PLAIN, StoredFormats, drop, simulate
from spectralearth_build.bench.feeding.rivals import BATCH
from spectralearth_build.bench.measure import timed
from spectralearth_build.errors import UsageError
from spectralearth_build.layout import CHUNK_PREFIX
from spectralearth_build.loader.loader import Loader
from spectralearth_build.progress import track
from spectralearth_build.reading.reader import open_reader
from spectralearth_build.reading.sharded import ShardedReader
from spectralearth_build.store.codec import (
    CHECKSUM_BYTES,
    PATCH_BYTES,
    PATCH_SHAPE,
    Patch,
    decode_into,
    verified,
)

FORMS_OF = {"geotiff": "GeoTIFF (deflate)", "webdataset": "WebDataset", "litdata": "LitData"}
RAW, BLOSC, MEMCPY = "codec in memory", "blosc alone in memory", "memcpy"
READER, LOADER = "ours: reader", "ours: Loader"
ZARR, ZARR_PLAIN = "zarr-python, our store", f"zarr-python, codec {PLAIN}"

Patches = npt.NDArray[np.int16]
Action = Callable[[int, Patch], object]
"""Processes the patch with an index into an array."""


@dataclass
class Contestant:
    """One way to get patches."""

    kind: str
    """limit, reader or loader."""
    name: str
    how: str
    """Threads or processes."""
    run: Callable[[], int]
    """Gets all patches once, and returns their number."""
    files: list[Path] = field(default_factory=list)
    """Folders that it reads, for cold measurements; empty: none."""

    @property
    def apart(self) -> bool:
        """Return whether other processes do the work."""
        return self.how.endswith("processes")


def contest(formats: StoredFormats, cores: int, rounds: int, seed: int) -> pd.DataFrame:
    """Measure everything.

    Args:
        formats: the patches.
        cores: number of threads or processes of parallel contestants.
        rounds: number of warm measurements; there is one cold measurement.
        seed: random seed of the orders.

    Returns:
        One row per measurement: kind, name, how, state (warm or cold), patches, seconds and cpu_seconds (both minimum
        over rounds; the latter only for work in this process).
    """
    everyone = [*_limits(formats, cores, seed), *_readers(formats, seed), *_loaders(formats, cores, seed)]
    for one in track(everyone, "warm up", len(everyone)):
        one.run()
    rows = []
    turns = [(one, "warm") for _ in range(rounds) for one in everyone]
    turns += [(one, "cold") for one in everyone if one.files]
    for one, state in track(turns, "load", len(turns)):
        if state == "cold":
            drop(one.files)
        cpu = time.process_time()
        with timed() as clock:
            patches = one.run()
        cpu = np.nan if one.apart else time.process_time() - cpu
        rows.append((one.kind, one.name, one.how, state, patches, clock.seconds, cpu))
    names = ["kind", "name", "how", "state", "patches"]
    return (
        pd.DataFrame(rows, columns=[*names, "seconds", "cpu_seconds"])
        .groupby(names, as_index=False, sort=False)
        .min()
    )


def about(formats: StoredFormats, cores: int) -> str:
    """Describe the data and the machine."""
    raw = len(formats.rows) * PATCH_BYTES
    stored = sum(path.stat().st_size for path in formats.array.glob(f"{CHUNK_PREFIX}*"))
    codec = _reader(formats).layout.codec
    return f"{len(formats.rows)} patches, codec {codec}, {raw / stored:.2f} times smaller than raw; {cores} cores"


def _limits(formats: StoredFormats, cores: int, seed: int) -> Iterator[Contestant]:
    reader = _reader(formats)
    encoded = [bytes(data) for row in formats.rows if (data := reader.encoded(row)) is not None]
    codec, blosc, own = str(reader.layout.codec), numcodecs.Blosc(), threading.local()
    order = np.random.default_rng(seed).permutation(len(encoded)).tolist()
    source = np.random.default_rng(seed).integers(0, 9999, PATCH_SHAPE, np.int16)
    batch = np.ones((BATCH, *PATCH_SHAPE), np.int16)

    def decoded(number: int, out: Patch) -> None:
        decode_into(encoded[number], out, codec)

    def decompressed(number: int, _: Patch) -> None:
        data = memoryview(encoded[number])[:-CHECKSUM_BYTES]
        size = int.from_bytes(
            data[4:8], "little"
        )  # size of the content from the blosc header, which is not always a patch
        if getattr(own, "buffer", None) is None or len(own.buffer) != size:
            own.buffer = np.ones(size, np.uint8)
        blosc.decode(data, own.buffer)

    def copied(_: int, out: Patch) -> None:
        np.copyto(out, source)

    for name, action in ((MEMCPY, copied), (BLOSC, decompressed), (RAW, decoded)):
        for threads in dict.fromkeys((1, cores)):
            out = (
                batch[:1] if threads == 1 else batch
            )  # like a reader does into one patch, or a loader into a batch
            yield Contestant("limit", name, _threads(threads), _spread(action, order, out, threads))


def _readers(formats: StoredFormats, seed: int) -> Iterator[Contestant]:
    order = np.random.default_rng(seed).permutation(len(formats.rows)).tolist()
    reader, out = _reader(formats), np.ones(PATCH_SHAPE, np.int16)
    ours, plain = zarr.open_array(formats.array, mode="r"), zarr.open_array(formats.plain, mode="r")

    def all_of(read: Callable[[int], object]) -> Callable[[], int]:
        return lambda: sum(1 for number in order if read(number) is not None)

    for name, read, files in (
        (READER, lambda k: reader.read_into(formats.rows[k], out), formats.array),
        (ZARR, lambda k: ours[formats.rows[k]], formats.array),
        (ZARR_PLAIN, lambda k: plain[k], formats.plain),
    ):
        yield Contestant("reader", name, "1 thread", all_of(read), [files])
    if find_spec("tensorstore"):
        opened = rivals.opened_with_tensorstore(formats.plain)
        yield Contestant("reader", f"tensorstore, codec {PLAIN}", "its own threads",
                         all_of(lambda k: opened[k].read().result()), [formats.plain])  # fmt: skip


def _loaders(formats: StoredFormats, cores: int, seed: int) -> Iterator[Contestant]:
    loader = Loader(formats.dataset, BATCH, threads=cores, seed=seed)
    yield Contestant("loader", LOADER, _threads(cores), _all(loader), [formats.array])
    every = tuple(range(len(formats.rows)))
    sets = [
        ("ours: PatchDataset in a DataLoader", rivals.OurPatches(formats.dataset), formats.array),
        (f"{ZARR}, DataLoader", rivals.ZarrPatches(formats.array, formats.rows), formats.array),
        (f"{ZARR_PLAIN}, DataLoader", rivals.ZarrPatches(formats.plain, every), formats.plain),
        (
            f"{FORMS_OF['geotiff']}, DataLoader",
            rivals.GeoTiffs(formats.exports["geotiff"]),
            formats.exports["geotiff"],
        ),
    ]
    if find_spec("tensorstore"):
        patches = rivals.TensorStorePatches(formats.plain, every)
        sets.append((f"tensorstore, codec {PLAIN}, DataLoader", patches, formats.plain))
    made = [(name, rivals.in_workers(patches, cores), files) for name, patches, files in sets]
    for name, start in (("webdataset", rivals.webdataset), ("litdata", rivals.litdata)):
        if find_spec(name):
            made.append((FORMS_OF[name], start(formats.exports[name], cores), formats.exports[name]))
    for name, batches, files in made:
        yield Contestant("loader", name, f"{cores} processes", _all(batches), [files])


def _all(batches: Iterable[Any]) -> Callable[[], int]:
    """Iterate over a loader once, and count the samples."""
    return lambda: sum(len(batch["pixels"] if isinstance(batch, dict) else batch) for batch in batches)


def _spread(action: Action, order: list[int], out: Patches, threads: int) -> Callable[[], int]:
    """Run an action for each index on several threads, which write to changing slots of ``out``."""

    def run() -> int:
        left, lock = iter(enumerate(order)), threading.Lock()

        def work() -> None:
            while True:
                with lock:
                    task = next(left, None)
                if task is None:
                    return
                action(task[1], out[task[0] % len(out)])

        workers = [threading.Thread(target=work) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return len(order)

    return run


def _reader(formats: StoredFormats) -> ShardedReader:
    reader = open_reader(formats.array)
    if not isinstance(reader, ShardedReader):
        raise UsageError(
            "The codec of the store is not one of our presets.", formats.array, "Give another --dataset."
        )
    return reader


def _decoded(data: memoryview, out: Patch, codec: str) -> Patch:
    decode_into(data, out, codec)
    return out


def _threads(number: int) -> str:
    return "1 thread" if number == 1 else f"{number} threads"


def parts(formats: StoredFormats, seed: int) -> dict[str, float]:
    """Return the milliseconds per patch of the steps of a read, in one thread; best of five rounds."""
    reader, out = _reader(formats), np.ones(PATCH_SHAPE, np.int16)
    codec = str(reader.layout.codec)
    rows = np.random.default_rng(seed).permutation(formats.rows)[:64].tolist()
    encoded = [memoryview(bytes(data)) for row in rows if (data := reader.encoded(row)) is not None]
    steps: dict[str, Callable[[], object]] = {
        "find and read the bytes": lambda: [reader.encoded(row) for row in rows],
        "decode them: all": lambda: [_decoded(data, out, codec) for data in encoded],
        "decode them: crc32c alone": lambda: [verified(data) for data in encoded],
        "all together": lambda: [reader.read_into(row, out) for row in rows],
    }
    best = dict.fromkeys(steps, np.inf)
    for name, step in list(steps.items()) * 5:
        with timed() as clock:
            step()
        best[name] = min(best[name], 1000 * clock.seconds / len(rows))
    return best


def first_batch(formats: StoredFormats, rows: int, folder: Path, cores: int) -> dict[str, float]:
    """Return the seconds until the first batch, on tables of ``rows`` rows; best of three.

    Returns:
        Seconds by kind of sample: single patches, or two dates per location.
    """
    dataset, found = simulate(formats, rows, folder), {}
    for name, dates in (("patches", None), ("two dates", 2)):
        times = []
        for seed in range(3):
            with timed() as clock:
                next(iter(Loader(dataset, BATCH, dates=dates, threads=cores, seed=seed)))
            times.append(clock.seconds)
        found[name] = min(times)
    return found


def memory(formats: StoredFormats, batches: int, cores: int) -> tuple[float, float]:
    """Return the resident memory in MB after a tenth of the one-patch batches, and at the end."""
    loader, process, sizes = Loader(formats.dataset, 1, threads=cores), psutil.Process(), []
    endless = itertools.chain.from_iterable(loader for _ in itertools.count())
    for number, _ in enumerate(track(itertools.islice(endless, batches), "memory", batches), 1):
        if number in (max(1, batches // 10), batches):
            sizes.append(process.memory_info().rss / 1e6)
    return sizes[0], sizes[-1]
