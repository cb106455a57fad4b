"""The demo: a complete comparison on a synthetic dataset with labels, encoders and a configuration."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from spectralearth_build.cluster import connect
from spectralearth_build.config import Config, load
from spectralearth_build.errors import BuildError
from spectralearth_build.files import write_bytes
from spectralearth_build.labels.define import Given, Request
from spectralearth_build.labels.pair import pair
from spectralearth_build.layout import ROOT
from spectralearth_build.lock import alone
from spectralearth_build.pipeline import build
from spectralearth_build.progress import counting
from spectralearth_build.signals import is_stopped, raise_if_stopped
from spectralearth_build.split.recipe import Recipe
from spectralearth_build.split.steps import split_dataset
from spectralearth_build.synthetic.archive import ArchiveOptions, synthesize
from spectralearth_build.synthetic.land_cover import areas_of_dataset, land_cover
from spectralearth_build.tables import SPLITS

if TYPE_CHECKING:
    from spectralearth_build.pretrain.training_config import PretrainConfig

FRACTIONS = {"train": 0.65, "val": 0.08, "test": 0.27}
CLASSES = {"corine": "corine19", "cdl": "cdl14", "nlcd": "nlcd"}
"""Label names and their class tables."""
OBJECTIVE: Literal["simclr"] = "simclr"
ENCODER = "encoder.safetensors"


@dataclass(frozen=True)
class Sizes:
    """Sizes of the demo data."""

    tiles: int = 26
    edge: int = 400
    """Edge of a tile in pixels."""
    steps: int = 120
    """Number of pretraining steps."""
    batch: int = 48
    """Number of locations per step."""
    seed: int = 0


def prepare(out: Path, scheduler: str = "", workers: int | None = None, sizes: Sizes | None = None) -> Path:
    """Make everything that the demo needs, unless it exists already.

    Args:
        out: output folder of the demo.
        scheduler: the setting run.scheduler.
        workers: the setting run.workers.
        sizes: sizes of the data; None: those of the demo.

    Returns:
        The path of the configuration file.
    """
    out, sizes = out.resolve(), sizes or Sizes()
    settings = {"run.scheduler": scheduler, "run.workers": workers}
    config = load(None, {name: value for name, value in settings.items() if value not in (None, "")})
    with alone(out):
        dataset = _dataset(out, config, sizes)
        raise_if_stopped()
        _labels(out, dataset, config, sizes)
        _split(dataset)
        raise_if_stopped()
        encoder = _encoder(out, dataset, sizes)
    path = out / "downstream.toml"
    write_bytes(path, TEMPLATE.format(dataset=dataset, objective=OBJECTIVE, encoder=encoder).encode())
    return path


def _dataset(out: Path, config: Config, sizes: Sizes) -> Path:
    """Build a dataset from a synthetic archive."""
    archive, dataset = out / "archive", out / "dataset"
    if not (dataset / ROOT).is_file():
        if not archive.is_dir():
            unfinished = out / "archive.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            with connect(config.run) as executor:
                options = ArchiveOptions("random", sizes.tiles, sizes.seed, sizes.edge, clouds=False)
                synthesize(unfinished, options, executor)
            unfinished.rename(archive)
        if damages := build(archive, dataset, config):
            raise BuildError(f"The demo's dataset is damaged: {damages[0]}.", dataset)
    return dataset


def _labels(out: Path, dataset: Path, config: Config, sizes: Sizes) -> None:
    """Make land-cover rasters of the same ground, and label the patches with them."""
    folder = out / "land-cover"
    if not folder.is_dir():
        unfinished = out / "land-cover.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        land_cover(unfinished, areas_of_dataset(dataset), sizes.seed)
        unfinished.rename(folder)
    requests = [Request(name, _rasters(folder, name), classes) for name, classes in CLASSES.items()]
    with alone(dataset), connect(config.run) as executor:
        pair(dataset, requests, executor)


def _rasters(folder: Path, name: str) -> tuple[Given, ...]:
    """Return the rasters of a label: name.tif, or name_year.tif for each year."""
    found = sorted(folder.glob(f"{name}*.tif"))
    years = [path.stem.removeprefix(name).removeprefix("_") for path in found]
    return tuple(Given(str(path), int(year or 0)) for path, year in zip(found, years, strict=True))


def _split(dataset: Path) -> None:
    if not (dataset / SPLITS.file).is_file():
        with alone(dataset):
            split_dataset(dataset, Recipe(FRACTIONS, stratify=("season",)))


def _encoder(out: Path, dataset: Path, sizes: Sizes) -> Path:
    """Pretrain an encoder on the training patches, without labels."""
    folder = out / f"pretrained-{OBJECTIVE}"
    if not (folder / ENCODER).is_file():
        from spectralearth_build.pretrain.setup import finish
        from spectralearth_build.pretrain.setup import prepare as begin

        run = begin(dataset, folder, pretraining(sizes))
        with counting(f"pretrain {OBJECTIVE}", run.total) as advance:
            run.train(lambda step, total, figures: advance(step, f"loss {figures['loss']:.3f}"), is_stopped)
        finish(run)
    return folder / ENCODER


def pretraining(sizes: Sizes) -> PretrainConfig:
    """Return settings of a small run: ResNet-18, with views of 16 pixels that cover 16 to 36 pixels of the image."""
    from spectralearth_build.pretrain.recipes import Augmentation, SimClrConfig
    from spectralearth_build.pretrain.training_config import (
        DataConfig,
        EncoderConfig,
        PretrainConfig,
        TrainConfig,
    )

    steps, batch = sizes.steps, sizes.batch
    train = TrainConfig(steps=steps, batch=batch, optimiser="adamw", rate=1e-3, warmup=0.1, precision="fp32")
    return PretrainConfig(
        objective=OBJECTIVE,
        data=DataConfig(split="train"),
        encoder=EncoderConfig(name="resnet18"),
        train=train,
        simclr=SimClrConfig(temperature=0.1, views=Augmentation(scale=(0.015, 0.08), size=16)),
    )


TEMPLATE = """\
# The demo's benchmark, written by `downstream --demo`.

dataset = "{dataset}"
title = "Downstream benchmark, demo on synthetic ground"

[[grid]]                # heads on frozen encoders are cheap: features are computed once
protocols = ["frozen"]
fractions = [0.1, 1.0]

[[grid]]                # what is trained whole gets few labels
tasks = ["CORINE", "CDL", "NLCD"]
protocols = ["finetune", "scratch"]
fractions = [0.1]

[[grid]]
tasks = ["CORINE"]
protocols = ["adapter"]
fractions = [0.1]
seeds = [0]

[evaluate]
size = 48               # four crops a patch
batch = 4
epochs = 15

[evaluate.frozen]
batch = 16
epochs = 40

[[tasks]]
name = "CORINE"
labels = "corine"
task = "multilabel"

[[tasks]]
name = "CDL"
labels = "cdl"
task = "segmentation"

[[tasks]]
name = "NLCD"
labels = "nlcd"
task = "segmentation"

[[tasks]]
name = "NLCD, main class"
labels = "nlcd"
task = "single"

[[tasks]]
name = "NLCD, main class, k-NN"
labels = "nlcd"
task = "single"
head = "knn"

[[encoders]]
name = "ResNet-18"
network = "resnet18"
pretrained = {{ {objective} = "{encoder}" }}
"""
