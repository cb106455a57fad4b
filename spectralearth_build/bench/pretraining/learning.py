"""Check that objectives learn: small encoders on a synthetic archive of known land cover, against random weights."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from spectralearth_build.bench.pretraining.ground import Cells, cells_of
from spectralearth_build.pretrain.log import CSV, read
from spectralearth_build.pretrain.neighbours import k_nearest
from spectralearth_build.pretrain.probe import ridge
from spectralearth_build.pretrain.recipes import Augmentation, DinoConfig, MaeConfig, MoCoConfig, SimClrConfig
from spectralearth_build.pretrain.setup import prepare
from spectralearth_build.pretrain.training_config import (
    DataConfig,
    EncoderConfig,
    PretrainConfig,
    TrainConfig,
)
from spectralearth_build.progress import track
from spectralearth_build.threads import cores

STEPS = {"mae": 600, "dino": 200, "moco": 160, "simclr": 100}
"""Optimiser steps of each objective. The longest is first, so that no process runs alone at the end."""
VIEW = Augmentation(scale=(0.1, 0.6), size=16, blur=0.5)
_TOGETHER = 256
"""Number of cells to encode at a time."""


def settings(objective: str, seed: int, steps: int, batch: int) -> PretrainConfig:
    """Return settings of a small run: views of 16 pixels and ResNet-18 (MAE: 32 pixels and ViT-S with patches of 8)."""
    mae = objective == "mae"
    return PretrainConfig(
        objective=objective,  # type: ignore[arg-type]
        data=DataConfig(threads=1),
        encoder=EncoderConfig(name="vit_s" if mae else "resnet18", patch=8),
        train=TrainConfig(
            steps=steps,
            batch=batch,
            optimiser="adamw",
            rate=5e-4 if mae else 1e-3,
            warmup=0.1,
            seed=seed,
            precision="fp32",
            device="cpu",
        ),
        moco=MoCoConfig(queue=1024, momentum=0.99, views=VIEW),
        dino=DinoConfig(momentum=0.98, views=VIEW.changed(scale=(0.2, 0.8))),
        mae=MaeConfig(mask=0.75, views=VIEW.changed(scale=(0.3, 1.0), size=32, blur=0.0)),
        simclr=SimClrConfig(temperature=0.1, views=VIEW),
    )


def learn(
    dataset: Path, work: Path, seeds: int, share: float = 1.0, batch: int = 32
) -> Iterator[dict[str, object]]:
    """Train every objective from several random initialisations, one single-threaded process per core.

    Args:
        dataset: a dataset made by `ground.dataset_of`.
        work: folder for the runs.
        seeds: number of random initialisations per objective.
        share: share of the `STEPS`.
        batch: number of locations per step.

    Yields:
        Rows: objective, seed, state (random or trained), knn and linear (accuracy on cells of held-out locations),
        loss, steps, seconds.
    """
    with ProcessPoolExecutor(cores(), get_context("spawn")) as pool:
        jobs = [
            pool.submit(
                start, dataset, work, objective, seed, steps=max(1, round(share * steps)), batch=batch
            )
            for objective, steps in STEPS.items()
            for seed in range(seeds)
        ]
        for job in track(as_completed(jobs), "learn", len(jobs)):
            yield from job.result()


def start(
    dataset: Path, work: Path, objective: str, seed: int, steps: int, batch: int
) -> list[dict[str, object]]:
    """Train one objective from one random initialisation, and return its two rows."""
    torch.set_num_threads(1)
    begin, folder = time.perf_counter(), work / f"learn-run-{objective}-{seed}-{steps}"
    run = prepare(dataset, folder, settings(objective, seed, steps, batch))
    cells = cells_of(dataset)
    random = judged(run.objective.encoder, cells)
    run.train(lambda step, total, figures: None)
    trained = {"loss": float(read(folder / CSV)[-1]["loss"])} | judged(run.objective.encoder, cells)
    about: dict[str, object] = {"objective": objective, "seed": seed, "steps": steps}
    seconds = time.perf_counter() - begin
    return [
        about | {"state": state, "seconds": seconds} | figures
        for state, figures in (("random", random), ("trained", trained))
    ]


def baseline(dataset: Path) -> dict[str, float]:
    """Return the accuracy of the mean spectrum of a cell, without any network."""
    return judged(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), cells_of(dataset))


def judged(encoder: nn.Module, cells: Cells) -> dict[str, float]:
    """Return the accuracy of an encoder on held-out locations. The encoder is left in training mode."""
    encoder.eval()
    with torch.inference_mode():
        parts = torch.split(cells.pixels, _TOGETHER)
        features = torch.cat([encoder(part.float()) for part in parts])
    encoder.train()
    known, held = ~cells.held, cells.held

    def accuracy(probe: Callable[..., float]) -> float:
        return probe(features[known], cells.labels[known], asked=features[held], truth=cells.labels[held])

    return {"knn": accuracy(k_nearest), "linear": accuracy(ridge)}


def gains(rows: pd.DataFrame) -> Iterator[tuple[object, ...]]:
    """Yield for each objective the mean accuracies before and after training, and the smallest gain of any seed."""
    for objective, part in rows.groupby("objective", sort=False):
        random, trained = (
            part[part["state"] == state].set_index("seed")[["knn", "linear"]]
            for state in ("random", "trained")
        )
        before, after, least = random.mean(), trained.mean(), (trained - random).min()
        yield objective, before.knn, after.knn, before.linear, after.linear, least.knn, least.linear
