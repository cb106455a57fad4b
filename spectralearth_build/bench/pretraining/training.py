"""Training speed of objectives, relative to the limits of the device: samples, arithmetic, waiting, memory."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pandas as pd
import torch

from spectralearth_build.bench.measure import peak_mb
from spectralearth_build.errors import UsageError
from spectralearth_build.pretrain.cost import kept_bytes, step_flops
from spectralearth_build.pretrain.encoders import NAMES
from spectralearth_build.pretrain.objectives.base import Objective
from spectralearth_build.pretrain.optimiser import optimiser_of
from spectralearth_build.pretrain.prefetch import Prefetcher
from spectralearth_build.pretrain.recipes import MoCoConfig
from spectralearth_build.pretrain.recompute import Parts, recompute
from spectralearth_build.pretrain.setup import OBJECTIVES, ONE_DATE, loader_of, objective_of, spectra_of
from spectralearth_build.pretrain.spectra import Spectra, Standardise
from spectralearth_build.pretrain.trainer import compile_blocks
from spectralearth_build.pretrain.training_config import (
    EncoderConfig,
    PretrainConfig,
    TrainConfig,
    recipe_of,
)

BANDS = 202


@dataclass(frozen=True)
class TrainingCase:
    """The objective and encoder to train."""

    objective: str
    encoder: str
    patch: int = 4

    @property
    def name(self) -> str:
        """Name in tables, such as ``moco vit_s/4``."""
        return f"{self.objective} {self.encoder}" + (
            f"/{self.patch}" if self.encoder.startswith("vit") else ""
        )


CASES = (
    TrainingCase("moco", "resnet50"),
    TrainingCase("moco", "vit_s"),
    TrainingCase("dino", "vit_s"),
    TrainingCase("mae", "vit_s"),
    TrainingCase("mae", "vit_l"),
    TrainingCase("simclr", "swin_t"),
)


def case_of(text: str) -> TrainingCase:
    """Undo `TrainingCase.name`.

    Raises:
        UsageError: The text is invalid.
    """
    objective, _, encoder = text.strip().partition(" ")
    name, _, patch = encoder.partition("/")
    if objective not in OBJECTIVES or name not in NAMES or not (patch or "4").isdigit():
        known = f"objectives: {', '.join(OBJECTIVES)}; encoders: {', '.join(NAMES)}"
        raise UsageError(
            f"'{text}' is not an objective and an encoder.",
            None,
            f"Give, for example, 'mae vit_l/4'; {known}.",
        )
    return TrainingCase(objective, name, int(patch or 4))


def matrix_rate(device: torch.device, seconds: float = 2.0) -> float:
    """Measure the rate of square bfloat16 matrix products on the device in FLOP/s, the limit of all training."""
    edge = 8192 if device.type == "cuda" else 1536
    a, b = (torch.randn(edge, edge, device=device, dtype=torch.bfloat16) for _ in range(2))
    best, begin = 0.0, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        for _ in range(4):
            a @ b
        synchronise(device)
        best = max(best, 4 * 2 * edge**3 / (time.perf_counter() - start))
    return best


def copy_rate(device: torch.device) -> float:
    """Measure the speed of copying memory on the device in bytes per second, counting reads and writes."""
    held = torch.empty(2**28 if device.type == "cuda" else 2**26, dtype=torch.float32, device=device)
    other, best = torch.empty_like(held), 0.0
    for _ in range(8):
        synchronise(device)
        start = time.perf_counter()
        other.copy_(held)
        synchronise(device)
        best = max(best, 8 * held.numel() / (time.perf_counter() - start))
    return best


def measure(
    case: TrainingCase,
    device: torch.device,
    batch: int,
    steps: int,
    precision: str = "bf16",
    compiled: bool = False,
    dataset: Path | None = None,
    again: Parts = "none",
) -> dict[str, object]:
    """Measure the speed of a few training steps.

    Args:
        case: objective and encoder.
        device: device to train on.
        batch: batch size.
        steps: number of measured steps, after two warm-up steps.
        precision: bf16 or fp32.
        compiled: whether to compile the blocks.
        dataset: dataset to read from; None: use a batch that is already on the device.
        again: parts that compute their intermediate results again, see `TrainConfig.recompute`.

    Returns:
        A row: samples_per_s, gflop_per_sample, flops_per_s, kept_mb_per_sample, waiting, memory_mb.
    """
    train = TrainConfig(batch=batch, precision=precision, device=str(device), compile=compiled)  # type: ignore[arg-type]
    config = PretrainConfig(
        objective=case.objective,  # type: ignore[arg-type]
        encoder=EncoderConfig(name=case.encoder, patch=case.patch),  # type: ignore[arg-type]
        train=train,
        moco=MoCoConfig(batch_splits=min(4, max(1, batch // 2))),
    )
    torch.manual_seed(0)
    objective = objective_of(config, BANDS).to(device)
    dates = 1 if case.objective in ONE_DATE else 2
    example = torch.randn(
        1 if config.moco.batch_splits == 1 else config.moco.batch_splits, dates, BANDS, 128, 128
    )
    given = example.to(device), torch.zeros(len(example), dtype=torch.long, device=device)
    recompute(objective, again)
    flops = step_flops(objective, *given) // len(example)
    kept = kept_bytes(objective, *given, half=precision == "bf16") // len(example)
    if compiled:
        compile_blocks(objective)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    source, waited = _source(config, dataset, device, batch, dates)
    seconds, waiting = _timed(objective, config, source=source, waited=waited, steps=steps, device=device)
    speed = batch * steps / seconds
    return {
        "case": case.name,
        "input": "resident" if dataset is None else "dataset",
        "batch": batch,
        "precision": precision,
        "compiled": compiled,
        "samples_per_s": speed,
        "gflop_per_sample": flops / 1e9,
        "kept_mb_per_sample": kept / 1e6,
        "flops_per_s": flops * speed,
        "waiting": waiting / seconds,
        "memory_mb": _memory_mb(device),
    }


def _source(
    config: PretrainConfig, dataset: Path | None, device: torch.device, batch: int, dates: int
) -> tuple[Iterator[tuple[torch.Tensor, torch.Tensor]], Callable[[], float]]:
    """Return standardised batches with their locations, and a function for the seconds waited so far."""
    if dataset is None:
        flat = Spectra((0.0,) * BANDS, (2000.0,) * BANDS, (800.0,) * BANDS)
        counts = torch.randint(0, 6000, (batch, dates, BANDS, 128, 128), dtype=torch.int16, device=device)
        standardise, places = Standardise(flat).to(device), torch.arange(batch, device=device)
        return ((standardise(counts), places) for _ in iter(int, 1)), lambda: 0.0
    prefetcher = Prefetcher(loader_of(dataset, config), device)
    standardise = Standardise(spectra_of(dataset)).to(device)
    steps = (next(prefetcher) for _ in iter(int, 1))
    return ((standardise(step.counts), step.places) for step in steps), lambda: prefetcher.waited


def _timed(
    objective: Objective,
    config: PretrainConfig,
    source: Iterator[tuple[torch.Tensor, torch.Tensor]],
    waited: Callable[[], float],
    steps: int,
    device: torch.device,
) -> tuple[float, float]:
    """Return the seconds of the measured steps, and of waiting for input."""
    optimiser = optimiser_of(objective, recipe_of(config))
    draw = torch.Generator().manual_seed(0)
    begin, before = 0.0, 0.0
    for number, (series, places) in enumerate(islice(source, steps + 2)):
        if number == 2:  # after two warm-up steps; the wait for this batch is over
            synchronise(device)
            begin, before = time.perf_counter(), waited()
        with torch.autocast(device.type, torch.bfloat16, enabled=config.train.precision == "bf16"):
            loss = objective(series, places, draw)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        objective.after_step(0.5)
    synchronise(device)
    return time.perf_counter() - begin, waited() - before


def synchronise(device: torch.device) -> None:
    """Wait for a GPU to finish all submitted work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _memory_mb(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    return peak_mb(resource.RUSAGE_SELF)


def table(rows: list[dict[str, object]], limit: float, copies: float) -> pd.DataFrame:
    """Return the rows with their share of the measured matrix rate."""
    frame = pd.DataFrame(rows)
    frame["share_of_limit"] = frame["flops_per_s"].astype(float) / limit
    frame["matrix_flops_per_s"] = limit
    frame["copy_bytes_per_s"] = copies
    return frame
