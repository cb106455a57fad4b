"""Prefetching: each batch is copied to the device while the previous step runs, with the matching loader state."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from spectralearth_build.loader import Loader
from spectralearth_build.pretrain.sending import sent


@dataclass(frozen=True)
class Step:
    """A batch on the device."""

    counts: Tensor
    """int16 [batch, date, band, y, x]."""
    places: Tensor
    """int64 [batch], a number that identifies each location."""
    state: dict[str, Any]
    """State of the loader after this batch."""
    copied: torch.cuda.Event | None = None
    """On a GPU, the event that marks the end of the copy."""


class Prefetcher:
    """An endless iterator over batches, epoch after epoch, that prefetches one batch.

    Args:
        loader: a loader of series [sample, date, band, y, x]. For a GPU, make it with ``keep=2``.
        device: device to copy the batches to.
    """

    def __init__(self, loader: Loader, device: torch.device) -> None:
        self.device = device
        self.waited = 0.0
        """Seconds that the caller has waited for batches."""
        self._stream = _stream(device) if device.type == "cuda" else None
        self._batches = self._all(loader)
        self._next: Step | None = None

    def __next__(self) -> Step:
        begin = time.perf_counter()
        step = self._next or next(self._batches)
        if self._stream is not None:
            torch.cuda.current_stream(self.device).wait_stream(self._stream)
            for tensor in (step.counts, step.places):
                tensor.record_stream(torch.cuda.current_stream(self.device))
            # Started only now, so that it overlaps with the step that is about to run.
            self._next = next(self._batches)
        self.waited += time.perf_counter() - begin
        return step

    def close(self) -> None:
        """Stop reading from the loader."""
        self._batches.close()

    def _all(self, loader: Loader) -> Generator[Step]:
        before: Step | None = None
        while True:
            epoch = iter(loader)
            try:
                for batch in epoch:
                    if before is not None and before.copied is not None:
                        before.copied.synchronize()  # its memory is about to be overwritten
                    before = self._step(batch, loader.state_dict())
                    yield before
            finally:
                epoch.close()

    def _step(self, batch: dict[str, Any], state: dict[str, Any]) -> Step:
        places = torch.tensor([place_number(name) for name in batch["location"]])
        if self._stream is None:
            return Step(batch["pixels"].to(self.device), places.to(self.device), state)
        with torch.cuda.stream(self._stream):
            counts = batch["pixels"].to(self.device, non_blocking=True)
            event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            event.record()
            return Step(counts, sent(places, self.device), state, event)


def _stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def place_number(location: str) -> int:
    """Return a 63-bit number for a location_id, the same in every process."""
    return int.from_bytes(hashlib.blake2b(location.encode(), digest_size=8).digest(), "little") >> 1
