"""Do objectives learn? Small encoders on a synthetic archive whose land cover is known, against their random starts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import nn

from spectralearth_build.config import load
from spectralearth_build.dataset.access import open_dataset
from spectralearth_build.files import replacing
from spectralearth_build.pipeline import build
from spectralearth_build.pretrain.augment import Augmentation
from spectralearth_build.pretrain.config import DataConfig, EncoderConfig, PretrainConfig, TrainConfig
from spectralearth_build.pretrain.log import CSV, read
from spectralearth_build.pretrain.monitors import k_nearest
from spectralearth_build.pretrain.probe import Probe, ridge
from spectralearth_build.pretrain.setup import prepare, spectra_of
from spectralearth_build.pretrain.spectra import Standardise
from spectralearth_build.progress import track
from spectralearth_build.store.schema import ROOT
from spectralearth_build.store.threads import cores
from spectralearth_build.synthetic.archive import ArchiveOptions, synthesize
from spectralearth_build.synthetic.scene import Scene

OBJECTIVES = ("moco", "dino", "mae", "simclr")
VIEW = Augmentation(scale=(0.1, 0.6), size=16, blur=0.5)
COARSE = 4
"""Patches are judged at a quarter of their resolution, about that of the views."""
TILES, EDGE = 48, 560
"""Of the archive: tiles, and edge of a tile in pixels."""


def dataset_of(work: Path, seed: int = 0) -> tuple[Path, Path]:
    """A dataset of synthetic tiles and the labels of its locations; what is there already stays.

    The label is the land cover that a window has most of, compared with the others': plants, soil, water or built-up.
    It is the ground's own, whatever the season of a patch.

    Returns:
        The dataset's folder and the Parquet file of labels.
    """
    dataset = work / f"learn-{seed}"
    if not (dataset / ROOT).is_file():
        archive = work / f"learn-archive-{seed}"
        synthesize(archive, ArchiveOptions("random", TILES, seed, EDGE, clouds=False))
        build(archive, dataset, load())
    labels = dataset.with_suffix(".labels.parquet")
    if not labels.is_file():
        locations = open_dataset(dataset).locations
        frame = pd.DataFrame({"location_id": locations["location_id"], "label": land_cover(locations, seed)})
        with replacing(labels) as temporary:
            frame.to_parquet(temporary)
    return dataset, labels


def land_cover(locations: pd.DataFrame, seed: int) -> npt.NDArray[np.int64]:
    """The label of each location, int64."""
    west, south, east, north = locations.geometry.bounds.to_numpy().T[..., None]
    steps = np.linspace(0.05, 0.95, 12)
    lon, lat = np.broadcast_arrays(
        (west + steps * (east - west))[:, :, None], (south + steps * (north - south))[:, None, :]
    )
    july, january = datetime(2023, 7, 15, tzinfo=UTC), datetime(2023, 1, 15, tzinfo=UTC)
    scene = Scene(seed)
    shares = np.where(  # summer: no snow hides the ground
        (lat.mean(axis=(1, 2)) >= 0)[:, None, None],
        scene.abundances(lon, lat, july),
        scene.abundances(lon, lat, january),
    ).mean(axis=(2, 3))
    kinds = np.stack([shares[0] + shares[1], shares[2], shares[3], shares[4]])
    standard = (kinds - kinds.mean(axis=1, keepdims=True)) / kinds.std(axis=1, keepdims=True)
    return np.asarray(standard.argmax(axis=0), np.int64)


def settings(objective: str, seed: int, steps: int, batch: int) -> PretrainConfig:
    """A small run: views of 16 pixels, ResNet-18 (MAE: of 32, ViT-S with patches of 8)."""
    base = PretrainConfig(
        objective,  # type: ignore[arg-type]
        DataConfig(threads=1),
        EncoderConfig("vit_s" if objective == "mae" else "resnet18", patch=8),
        TrainConfig(
            steps=steps,
            batch=batch,
            optimiser="adamw",
            rate=1e-3,
            warmup=0.1,
            seed=seed,
            precision="fp32",
            device="cpu",
        ),
    )
    return replace(
        base,
        moco=replace(base.moco, queue=1024, momentum=0.99, views=VIEW),
        dino=replace(base.dino, momentum=0.98, views=replace(VIEW, scale=(0.2, 0.8))),
        mae=replace(base.mae, mask=0.75, views=replace(VIEW, scale=(0.2, 0.6), size=32, blur=0.0)),
        simclr=replace(base.simclr, temperature=0.1, views=VIEW),
    )


def learn(
    dataset: Path, labels: Path, work: Path, seeds: int, steps: int, batch: int = 32
) -> Iterator[dict[str, object]]:
    """Train every objective from several random starts, one process a core, each with one thread.

    Yields:
        Rows: objective, seed, state (random or trained), knn and linear (accuracy on held-out locations), loss,
        seconds.
    """
    starts = [(objective, seed) for seed in range(seeds) for objective in OBJECTIVES]
    with ProcessPoolExecutor(cores(), get_context("spawn")) as pool:
        jobs = [pool.submit(start, dataset, labels, work, *one, steps, batch) for one in starts]
        for job in track(as_completed(jobs), "learn", len(jobs)):
            yield from job.result()


def start(
    dataset: Path, labels: Path, work: Path, objective: str, seed: int, steps: int, batch: int
) -> list[dict[str, object]]:
    """Train one objective from one random start; its two rows."""
    torch.set_num_threads(1)
    begin, folder = time.perf_counter(), work / f"learn-run-{objective}-{seed}-{steps}"
    run = prepare(dataset, folder, settings(objective, seed, steps, batch))
    probe = Probe(dataset, labels, run.standardise, torch.device("cpu"))
    random = judged(run.objective.encoder, probe)
    run.train(lambda step, total, figures: None)
    trained = {"loss": float(read(folder / CSV)[-1]["loss"])} | judged(run.objective.encoder, probe)
    about: dict[str, object] = {"objective": objective, "seed": seed}
    seconds = time.perf_counter() - begin
    return [
        about | {"state": state, "seconds": seconds} | figures
        for state, figures in (("random", random), ("trained", trained))
    ]


def baseline(dataset: Path, labels: Path) -> dict[str, float]:
    """Accuracy of the mean spectrum of a patch, without any network."""
    probe = Probe(dataset, labels, Standardise(spectra_of(dataset)), torch.device("cpu"))
    return judged(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), probe)


def judged(encoder: nn.Module, probe: Probe) -> dict[str, float]:
    """Accuracy of an encoder on locations whose labels it is not told."""
    features, labels, held = probe.features(nn.Sequential(nn.AvgPool2d(COARSE), encoder))
    parts = features[~held], labels[~held], features[held], labels[held]
    return {"knn": k_nearest(*parts), "linear": ridge(*parts)}


def gains(rows: pd.DataFrame) -> Iterator[tuple[object, ...]]:
    """For each objective: mean accuracies before and after, and the smallest gain of any start."""
    for objective, part in rows.groupby("objective", sort=False):
        random, trained = (
            part[part["state"] == state].set_index("seed")[["knn", "linear"]]
            for state in ("random", "trained")
        )
        before, after, least = random.mean(), trained.mean(), (trained - random).min()
        yield objective, before.knn, after.knn, before.linear, after.linear, least.knn, least.linear
