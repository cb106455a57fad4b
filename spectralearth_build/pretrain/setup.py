"""Set-up of a run from its settings: loader, spectra, encoder and objective."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from spectralearth_build.dataset.access import open_dataset
from spectralearth_build.dataset.seen import SeenPatches
from spectralearth_build.errors import UsageError
from spectralearth_build.layout import STATISTICS
from spectralearth_build.loader import Loader
from spectralearth_build.overlap.lattice import WINDOW
from spectralearth_build.pretrain import checkpoint
from spectralearth_build.pretrain.encoders import Architecture, Encoder, build
from spectralearth_build.pretrain.encoders.resnet import SpectralResNet
from spectralearth_build.pretrain.encoders.vit import SpectralViT
from spectralearth_build.pretrain.memory import keep_memory
from spectralearth_build.pretrain.objectives.across import world
from spectralearth_build.pretrain.objectives.barlow import BarlowTwins
from spectralearth_build.pretrain.objectives.base import Objective
from spectralearth_build.pretrain.objectives.byol import Byol
from spectralearth_build.pretrain.objectives.dino import Dino
from spectralearth_build.pretrain.objectives.distil import Distil
from spectralearth_build.pretrain.objectives.mae import Mae
from spectralearth_build.pretrain.objectives.moco import MoCo
from spectralearth_build.pretrain.objectives.simclr import SimClr
from spectralearth_build.pretrain.objectives.simsiam import SimSiam
from spectralearth_build.pretrain.objectives.swav import Swav
from spectralearth_build.pretrain.objectives.vicreg import VicReg
from spectralearth_build.pretrain.probe import Probe
from spectralearth_build.pretrain.processes import device_of
from spectralearth_build.pretrain.spectra import Spectra
from spectralearth_build.pretrain.trainer import TrainingRun
from spectralearth_build.pretrain.training_config import ObjectiveName, PretrainConfig
from spectralearth_build.pretrain.weights import save_encoder
from spectralearth_build.pretrain.weights_identity import digest_of
from spectralearth_build.progress import say
from spectralearth_build.reading.byte_source import source_of
from spectralearth_build.texts import counted

OBJECTIVES: dict[ObjectiveName, Callable[[Encoder, Any], Objective]] = {
    "moco": MoCo,
    "dino": Dino,
    "mae": Mae,
    "simclr": SimClr,
    "byol": Byol,
    "simsiam": SimSiam,
    "barlow": BarlowTwins,
    "vicreg": VicReg,
    "swav": Swav,
}
"""All but distillation, which also needs the spectra."""
ONE_DATE = ("mae", "distil")
"""Objectives that see one date of a location; the others see two."""


def prepare(dataset: str | Path, folder: Path, config: PretrainConfig) -> TrainingRun:
    """Make a new run, or restore a stopped one to continue it. Under torchrun, call it within `processes.together`.

    Args:
        dataset: folder or URL of the dataset.
        folder: folder of the run, for settings, checkpoints and log.
        config: the settings.

    Raises:
        UsageError: The settings are inconsistent, or differ from those of the run in the folder.
    """
    device = device_of(config.train.device)
    keep_memory(device)
    config = with_split(config, dataset, checkpoint.noted_settings(folder))
    if world()[0] == 0:
        document: dict[str, Any] = config.document()
        teacher: dict[str, str] = {}
        if config.objective == "distil":
            teacher["distil.teacher_sha256"] = digest_of(Path(config.distil.teacher))
            document["distil"]["teacher_sha256"] = teacher["distil.teacher_sha256"]
        checkpoint.refuse_other_settings(folder, document, AS_BEFORE | teacher)
    torch.manual_seed(config.train.seed)
    loader = loader_of(dataset, config)
    if world()[0] == 0:
        say(_what_is_read(loader, config.data.split))
    spectra = spectra_of(dataset)
    objective = objective_of(config, len(spectra.mean), spectra)
    run = TrainingRun(objective, loader, spectra=spectra, config=config, folder=folder, device=device)
    if config.data.labels and world()[0] == 0:
        run.probe = Probe(dataset, Path(config.data.labels), run.standardise, device)
    if world()[0] == 0:
        # Last, so that a refused start leaves nothing behind.
        checkpoint.note_settings(folder, document)
    return run


AS_BEFORE = {
    "train.recompute": "none", "train.rate_scaling": "none", "train.schedule": "steps", "train.decay": "weights",
    "encoder.positions": "learned", "dino.export": "student",
}  # fmt: skip
"""What runs did that were started before there were these settings."""
AUTO, TRAIN = "auto", "train"


def with_split(
    config: PretrainConfig, dataset: str | Path, before: Mapping[str, Any] | None = None
) -> PretrainConfig:
    """Replace the split "auto" by that of the settings before; else by "train", or by all if there are no splits.

    Raises:
        UsageError: The dataset has splits, but none of that name.
    """
    if config.data.split != AUTO:
        return config
    if before is not None:
        split = str(before["data"]["split"])
    else:
        names = open_dataset(dataset).splits
        split = TRAIN if names else ""
        if names and TRAIN not in names:
            raise UsageError(
                f"The dataset has splits, but none is called {TRAIN}: {', '.join(names)}.",
                dataset,
                "Type --set data.split=NAME, or --set data.split= for all patches.",
            )
    return config.changed(data=config.data.changed(split=split))


def _what_is_read(loader: Loader, split: str) -> str:
    patches = loader.samples.patches
    count, places = len(patches), patches["location_id"].nunique()
    which = f" of the split {split}" if split else ""
    return f"pretrain: {counted(count, 'patch', 'patches')} at {counted(places, 'location')}{which}"


def loader_of(dataset: str | Path, config: PretrainConfig) -> Loader:
    """Return the loader of a run: one date per location for `ONE_DATE`, two for the other objectives."""
    config = with_split(config, dataset)
    data = config.data
    return Loader(
        dataset,
        config.train.batch,
        dates=1 if config.objective in ONE_DATE else 2,
        rule=data.dates,
        seed=config.train.seed,
        drop_last=True,
        threads=data.threads or None,
        keep=2,
        min_dates=data.min_dates,
        max_cloud=data.max_cloud if data.max_cloud < 1 else None,
        split=data.split or None,
    )


def objective_of(config: PretrainConfig, bands: int, spectra: Spectra | None = None) -> Objective:
    """Return the objective, with a new encoder.

    Args:
        config: the settings.
        bands: number of bands.
        spectra: bands and statistics of the data. Only distillation needs them.

    Raises:
        UsageError: The encoder settings do not fit the dataset or the objective.
    """
    try:
        encoder = build(architecture_of(config, bands))
        if isinstance(encoder, SpectralViT) and config.encoder.positions == "fixed":
            encoder.fix_positions()
        _require_views(config, encoder)
        if config.objective == "distil":
            assert spectra is not None
            objective: Objective = Distil(encoder, config.distil, spectra)
        else:
            objective = OBJECTIVES[config.objective](encoder, getattr(config, config.objective))
    except (TypeError, ValueError) as error:
        raise UsageError(
            str(error), remedy="Change the settings under encoder, such as --set encoder.name=vit_s."
        ) from error

    _require_statistics(config, objective)
    return objective


def _require_statistics(config: PretrainConfig, objective: Objective) -> None:
    """Refuse batches in which a batch normalisation would see a single value."""
    splits = config.moco.batch_splits if config.objective == "moco" and not config.moco.official else 1
    pixels = WINDOW  # other networks than ResNets normalise all pixels of an image
    if isinstance(objective.encoder, SpectralResNet):
        # Each stage rounds up: an image that is smaller than the stride is one pixel in the end.
        pixels = min((-(-size // objective.encoder.stride)) ** 2 for size in config.view_sizes().values())
    vectors = any(isinstance(module, nn.BatchNorm1d) for module in objective.modules())
    if config.train.batch // splits * pixels < 2 or (vectors and config.train.batch * world()[1] < 2):
        raise UsageError(
            f"With train.batch={config.train.batch} and these views, a batch normalisation of {config.encoder.name} or "
            "of the head would see a single value.",
            remedy="Raise train.batch, or the size of the views.",
        )


def _require_views(config: PretrainConfig, encoder: Encoder) -> None:
    for section, size in config.view_sizes().items():
        if size % encoder.multiple:
            raise UsageError(
                f"{section} have {size} pixels, but {config.encoder.name} needs a multiple of {encoder.multiple}.",
                remedy=f"Type --set {section}.size={-(-size // encoder.multiple) * encoder.multiple}.",
            )


def architecture_of(config: PretrainConfig, bands: int) -> Architecture:
    """What the encoder of a run is made of."""
    image = config.encoder.image or config.view_sizes()[f"{config.objective}.views"]
    pool = config.encoder.pool or ("mean" if config.objective == "mae" else "token")
    return Architecture(config.encoder.name, bands, patch=config.encoder.patch, image=image, pool=pool)


def spectra_of(dataset: str | Path) -> Spectra:
    """Return bands and statistics of a dataset, given as folder or URL.

    Raises:
        UsageError: The dataset has no statistics.
    """
    try:
        document = json.loads(source_of(dataset).whole(STATISTICS))
        nm, mean, std = (tuple(map(float, document[name])) for name in ("wavelength_nm", "mean", "std"))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"The dataset has no statistics: {error}.",
            dataset,
            "Run `build ARCHIVE DATASET` to complete the dataset.",
        ) from error
    return Spectra(nm, mean, std, float(document["scale"]))


def finish(run: TrainingRun) -> Path:
    """Write the encoder of a run, and return the path of the file."""
    path = run.folder / "encoder.safetensors"
    if world()[0] == 0:
        architecture = architecture_of(run.config, len(run.spectra.mean))
        about = {
            "objective": run.config.objective,
            "steps": run.step,
            "settings": run.config.document(),
            "seen": _seen(run),
        }
        save_encoder(path, plain(run.objective.exported, architecture), architecture, run.spectra, about)
    return path


def _seen(run: TrainingRun) -> dict[str, Any] | None:
    """Return what an encoder has seen, also through its teacher; None if it is not known of the teacher."""
    own = SeenPatches.of(run.loader.samples.patches, run.config.data.split)
    if not isinstance(run.objective, Distil):
        return own.document()
    theirs = run.objective.teacher_saw
    return None if theirs is None else own.with_ground_of(SeenPatches.from_document(theirs)).document()


def plain(encoder: Encoder, architecture: Architecture) -> Encoder:
    """Return the encoder without the changes that an objective made to it."""
    fresh = build(architecture)
    fresh.load_state_dict(encoder.state_dict())
    return fresh
