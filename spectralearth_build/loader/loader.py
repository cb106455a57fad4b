"""`Loader`: randomly ordered batches of a dataset, decoded by threads into reused memory."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal, NamedTuple, Unpack

import numpy as np
import numpy.typing as npt
import pandas as pd

from spectralearth_build.arguments import whole
from spectralearth_build.dataset.access import Dataset
from spectralearth_build.errors import DamagedError, UsageError
from spectralearth_build.loader import order
from spectralearth_build.loader.buffers import Ring
from spectralearth_build.loader.lookahead import Lookahead, Requests
from spectralearth_build.loader.pipeline import Pipeline
from spectralearth_build.loader.samples import Chosen, Query, Samples
from spectralearth_build.loader.series import Rule
from spectralearth_build.reading.reader import Reader
from spectralearth_build.reading.requested import RequestingReader
from spectralearth_build.threads import cores

Batch = dict[str, Any]
OnDamage = Literal["raise", "replace"]
TRIES = 16
"""Number of replacement samples to try for a damaged one before its error is raised."""
REMOTE_THREADS = 16
"""Minimum number of threads for an object store from which zarr-python reads, where they mostly wait."""
REQUESTS = 192
"""Patches of an object store that are on their way or wait to be decoded, about 0.6 GB. At a delay of 0.3 s these are
640 patches a second, which takes two cores to decode."""


class Item(NamedTuple):
    """A sample of a batch."""

    position: int
    """Position in the order of the epoch."""
    chosen: Chosen


class Loader:
    """An iterable of batches, used like a DataLoader. Each ``for`` loop over it is one epoch.

    A batch is a dict: ``pixels``, int16 [sample, band, y, x], or [sample, date, band, y, x] with ``dates``; ``row`` (in
    the store), ``index`` (label in ``dataset.patches``), ``acquired`` (microseconds since 1970 UTC), each int64
    [sample] or [sample, date]; ``location``, a list of location_id. Pixels are stored values; multiply by 0.0001 to get
    reflectance.

    **Memory.** Pixels are in a ring of buffers, allocated at the first batch (pinned if torch sees a GPU). A batch is
    valid until ``keep`` further batches were requested; then its memory is overwritten. So use a batch only within its
    loop iteration, or set ``copy``. After ``batch["pixels"].to(device, non_blocking=True)``, wait for the copy before
    the iteration ends, or set ``keep=2``. A new loop over the same loader ends the running one.

    Args:
        dataset: a dataset, or its folder or URL.
        batch_size: number of samples per batch.
        dates: None: each patch is a sample. k: each location is a sample, with k of its dates.
        rule: how to choose dates: "random", "farthest" (far apart in time), or "season" (different seasons).
        bands: indices of the bands to return; None: all.
        shuffle: whether to use a new random order over the whole dataset in each epoch, or else the order of the
            dataset.
        seed: the same seed gives the same order and dates, on any machine and with any number of threads.
        drop_last: whether to leave out samples that do not fill a batch of every process. Otherwise the last batch is
            smaller, and some samples (fewer than ``world_size``) are repeated so that all processes get equally many.
        rank: rank of this process; None: from torch.distributed if initialised, else 0.
        world_size: number of processes; None: from torch.distributed if initialised, else 1.
        threads: number of threads; None: one per core, two for a URL.
        ahead: number of batches to prefetch.
        keep: number of batches that stay valid, including the latest.
        on_damage: "raise" an error that names the patch, or "replace" the sample by the next readable one and record
            the patch in `damaged`.
        copy: whether each batch gets its own memory instead of a buffer of the ring.
        as_numpy: whether to return numpy arrays instead of tensors. torch is then not needed.
        patches: a selection returned by `Dataset.query`, instead of conditions.
        **query: conditions of `Dataset.query`: bbox, time, min_dates, max_cloud, split.

    Raises:
        UsageError: An argument is invalid, or no patch meets the conditions.

    Examples:
        >>> loader = Loader(folder, batch_size=4, dates=2, max_cloud=0.05, seed=1, as_numpy=True)
        >>> for batch in loader:
        ...     pixels = batch["pixels"]  # int16 [sample, date, band, y, x]
        >>> pixels.shape[1:]
        (2, 202, 128, 128)
    """

    def __init__(
        self,
        dataset: Dataset | str | Path,
        batch_size: int = 64,
        *,
        dates: int | None = None,
        rule: Rule = "random",
        bands: Sequence[int] | None = None,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
        rank: int | None = None,
        world_size: int | None = None,
        threads: int | None = None,
        ahead: int = 2,
        keep: int = 1,
        on_damage: OnDamage = "raise",
        copy: bool = False,
        as_numpy: bool = False,
        patches: pd.DataFrame | None = None,
        **query: Unpack[Query],
    ) -> None:
        batch_size, ahead, keep = (
            whole(name, value, 1)
            for name, value in {"batch_size": batch_size, "ahead": ahead, "keep": keep}.items()
        )
        threads = None if threads is None else whole("threads", threads, 1)
        seed = whole("seed", seed)
        if on_damage not in ("raise", "replace"):
            raise UsageError(f"Unknown value on_damage={on_damage!r}.", remedy="Use 'raise' or 'replace'.")
        self.samples = Samples(dataset, dates, rule=rule, bands=bands, seed=seed, patches=patches, **query)
        self.rank, self.world_size = _process(rank, world_size)
        self.batch_size, self.shuffle, self.seed, self.drop_last = batch_size, shuffle, seed, drop_last
        self.threads = threads or _threads(self.samples.reader)
        self.on_damage, self.copy, self.as_numpy = on_damage, copy, as_numpy
        self.damaged: dict[str, int] = {}
        """Messages on replaced samples, which name patch and shard, and how often each occurred."""
        self._ahead, self._keep = ahead, keep
        self._epoch, self._seen, self._fresh = 0, 0, True
        self._ring: Ring | None = None
        self._running: weakref.ref[Batches] | None = None

    def __len__(self) -> int:
        """Return the number of batches per epoch for this process."""
        return order.steps(len(self.samples), 0, self.batch_size, self.world_size, self.drop_last)

    def __iter__(self) -> Batches:
        """Begin the next epoch, or continue from the state of `load_state_dict`. Ends a loop that is still running."""
        if self._running is not None and (running := self._running()) is not None:
            running.close()
        if not self._fresh:
            self._epoch, self._seen = self._epoch + 1, 0
        self._fresh = False
        if self._ring is None:
            slots, shape = self._ahead + self._keep, (self.batch_size, *self.samples.shape)
            self._ring = Ring(slots, shape, self._keep, self.as_numpy)
        batches = Batches(self, self._ring)
        self._running = weakref.ref(batches)
        return batches

    @property
    def epoch(self) -> int:
        """The running or next epoch, from 0."""
        return self._epoch

    def set_epoch(self, epoch: int) -> None:
        """Make the next loop run this epoch, from its beginning."""
        epoch = whole("epoch", epoch)
        self._epoch, self._seen, self._fresh = epoch, 0, True

    def state_dict(self) -> dict[str, int]:
        """Return the position of the loop, counted in batches returned so far, for `load_state_dict`.

        ``seen`` counts the samples of all processes, so a different number of processes can continue.
        """
        return {"epoch": self._epoch, "seen": self._seen, "seed": self.seed, "samples": len(self.samples)}

    def load_state_dict(self, state: object) -> None:
        """Make the next loop continue after the batch at which the state was saved, with exactly the same batches.

        Raises:
            UsageError: The state belongs to another seed or selection.
        """
        own = self.state_dict()
        if not isinstance(state, Mapping) or not own.keys() <= state.keys():
            raise UsageError(
                f"Not the state of a loader: {state!r}.", remedy="Pass the result of `state_dict`."
            )
        for name in ("seed", "samples"):
            if state[name] != own[name]:
                raise UsageError(
                    f"The state belongs to a loader with {name} {state[name]}, this one has {own[name]}.",
                    remedy="Make the loader with the same dataset, conditions and seed.",
                )
        self._epoch, self._seen, self._fresh = (
            whole("epoch", state["epoch"]),
            whole("seen", state["seen"]),
            True,
        )

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_ring": None, "_running": None}


class Batches(Iterator[Batch]):
    """One epoch of a `Loader`, or the rest of one. Its threads always end with it."""

    def __init__(self, loader: Loader, ring: Ring) -> None:
        self._loader, self._ring = loader, ring
        epoch = Epoch(loader, ring)
        self._ahead = epoch.ahead
        self._pipeline = Pipeline(iter(epoch.ahead), epoch.fill, ring.free(), loader.threads)
        self._finish = weakref.finalize(self, _close, epoch, self._pipeline)

    def __next__(self) -> Batch:
        try:
            return self._next()
        except BaseException:
            self._finish()
            raise

    def close(self) -> None:
        """Stop the threads. No further batches follow."""
        self._finish()

    def _next(self) -> Batch:
        loader = self._loader
        for slot in self._ring.take_back():
            self._pipeline.release(slot)
        job = self._pipeline.next()
        if job is None:
            if self._finish.alive:  # at the end of the epoch, unless closed before
                loader.set_epoch(loader.epoch + 1)
            raise StopIteration
        loader._seen += loader.world_size * len(job.items)
        pixels = self._ring.give(job.slot, len(job.items), loader.copy)
        labels = loader.samples.labels([item.chosen for item in job.items])
        if loader.samples.dates is None:
            pixels = pixels[:, 0]
        return {"pixels": pixels, **(labels if loader.as_numpy else as_tensors(labels))}


def _close(epoch: Epoch, pipeline: Pipeline[Item]) -> None:
    """End an epoch: nobody waits for requests any more."""
    pipeline.stop()
    epoch.ahead.close()
    pipeline.close()


class Epoch:
    """State shared by the threads of one epoch: the order, and how to read a sample into a buffer."""

    def __init__(self, loader: Loader, ring: Ring) -> None:
        self._loader, self._samples, self._arrays = loader, loader.samples, ring.arrays
        self._number, self._seen, n = loader.epoch, loader._seen, len(loader.samples)
        self._order = order.permutation(n, loader.seed, self._number) if loader.shuffle else np.arange(n)
        most = REQUESTS if isinstance(loader.samples.reader, RequestingReader) else 0
        batch = loader.batch_size * loader.samples.shape[0]
        self.ahead = Lookahead(self.batches(), self._request, attrgetter("position"), batch, most)

    def batches(self) -> Iterator[list[Item]]:
        """Yield the samples of each remaining batch."""
        by = self._loader
        for part in order.batches(
            self._order,
            self._seen,
            batch=by.batch_size,
            rank=by.rank,
            world=by.world_size,
            drop_last=by.drop_last,
        ):
            yield [self._item(position) for position in part.tolist()]

    def fill(self, item: Item, slot: int, place: int) -> Item:
        """Read a sample, or a replacement if it is damaged and ``on_damage`` is "replace".

        Raises:
            DamagedError: The sample is damaged and must not be replaced, or all replacements are damaged too.
        """
        with self.ahead.requests(item) as requests:
            return self._filled(item, self._arrays[slot][place], requests)

    def _filled(self, item: Item, out: npt.NDArray[np.int16], requests: Requests) -> Item:
        for _ in range(TRIES):
            try:
                self._samples.read(item.chosen, out, requests)
                return item
            except DamagedError as error:
                if self._loader.on_damage == "raise":
                    raise
                last = error
                self._loader.damaged[str(error)] = self._loader.damaged.get(str(error), 0) + 1
                item, requests = self._item((item.position + 1) % len(self._order)), {}
        raise last

    def _request(self, item: Item) -> Requests:
        return self._samples.request(item.chosen)

    def _item(self, position: int) -> Item:
        return Item(position, self._samples.chosen(int(self._order[position]), self._number))


def as_tensors(labels: Batch) -> Batch:
    """Convert the arrays of a batch to tensors."""
    import torch

    return {k: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for k, v in labels.items()}


def _process(rank: int | None, world_size: int | None) -> tuple[int, int]:
    if rank is None and world_size is None and sys.modules.get("torch"):
        from torch import distributed

        if distributed.is_available() and distributed.is_initialized():
            return distributed.get_rank(), distributed.get_world_size()
    world_size = whole("world_size", 1 if world_size is None else world_size, 1)
    rank = whole("rank", rank or 0)
    if rank >= world_size:
        raise UsageError(
            f"rank must be from 0 to {world_size - 1}, got {rank}.",
            remedy="Pass both rank and world_size.",
        )
    return rank, world_size


def _threads(reader: Reader) -> int:
    if isinstance(reader, RequestingReader):
        return 2 * cores()  # some wait for what is late
    return max(REMOTE_THREADS, 2 * cores()) if reader.remote else cores()
