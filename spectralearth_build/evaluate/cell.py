"""A running evaluation: model, sample streams, figures."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from spectralearth_build.errors import UsageError
from spectralearth_build.evaluate.cache import features
from spectralearth_build.evaluate.data import PARTS, LabelledDataset
from spectralearth_build.evaluate.examples import write_examples
from spectralearth_build.evaluate.heads import Takes, make_head
from spectralearth_build.evaluate.instant import THRESHOLD, solve
from spectralearth_build.evaluate.protocol import Model, digest, encoder_of
from spectralearth_build.evaluate.result import Result
from spectralearth_build.evaluate.scoring import Scorer
from spectralearth_build.evaluate.stream import Kept, RandomCrops, Reading, Stream, WholeCrops
from spectralearth_build.evaluate.task_config import CHOOSES, EvaluateConfig
from spectralearth_build.evaluate.train import Learned, Learner
from spectralearth_build.pretrain.encoders import Encoder
from spectralearth_build.pretrain.setup import spectra_of


class Cell:
    """An evaluation of one encoder, label set, protocol, label fraction and seed.

    Args:
        data: the labelled patches.
        dataset: folder or URL of the dataset.
        encoder: file of weights; None: random weights.
        config: the settings.
        device: device to run on.

    Raises:
        UsageError: Dataset, encoder and settings do not fit together.
    """

    def __init__(
        self,
        data: LabelledDataset,
        dataset: str | Path,
        encoder: Path | None,
        config: EvaluateConfig,
        device: torch.device,
    ) -> None:
        self.data, self.config, self.device = data, config, device
        self.spectra = spectra_of(dataset)
        counts = encoder_of(encoder, config, self.spectra, str(dataset))
        check_size(counts.encoder, config)
        classes = len(data.classes)
        head = None if config.instant else make_head(head_of(counts.encoder, config), counts.encoder, classes)
        takes: Takes = "features" if config.task == "segmentation" else "vector"
        self.model = Model(counts, head, config.protocol, takes).to(device)
        half = (config.precision or ("bf16" if device.type == "cuda" else "fp32")) == "bf16"
        self.learner = Learner(self.model, config, classes, device, half)
        self.reading = Reading(data.dataset, config.batch, device, config.threads, config.seed)

    def run(self, folder: Path, cache: Path | None) -> Result:
        """Train, choose the best on val, score test once, and write examples.

        Args:
            folder: folder for the examples.
            cache: folder of cached features that evaluations share.

        Returns:
            The result, without settings and seconds.
        """
        config, learner, data = self.config, self.learner, self.data
        train, val, test = self.streams(cache)
        notes, threshold = list(data.notes), 0.0
        if config.instant:
            answer, found, said = solve(learner, train, val)
            learned, threshold = Learned([], 0, found), THRESHOLD
            notes.append(f"{config.head}: {said}, the best on val.")
        else:
            learned, answer = learner.learn(train, val), learner.answer
        scorer = learner.judge(test, answer, threshold)
        part, nm = data.parts["test"], self.spectra.wavelength_nm
        write_examples(
            folder, part, reading=self.reading, answer=answer, nm=nm, task=config.task, threshold=threshold
        )
        trainable, encoder_trainable = self.model.trainable()
        return Result(
            {**named("val", learned.figures), **named("test", scorer.figures())},
            learned.curve,
            trainable=trainable,
            encoder_trainable=encoder_trainable,
            samples=data.samples,
            seconds=0.0,
            epoch=learned.epoch,
            chosen_by=CHOOSES[config.task],
            per_class=self.by_class(scorer),
            notes=notes,
        )

    def streams(self, cache: Path | None) -> list[Stream]:
        """Return train, val and test: cached features if the encoder is frozen and they fit, else crops from disk."""
        train, val, test = (self.data.parts[name] for name in PARTS)
        config, reading = self.config, self.reading
        judged: list[Stream] = [WholeCrops(part, reading) for part in (val, test)]
        if config.protocol != "frozen":
            return [RandomCrops(train, reading), *judged]
        maps = self.kept(cache)
        if maps is None:
            return [WholeCrops(train, reading, shuffle=True), *judged]
        found: list[Stream] = []
        begin = 0
        for part, seed in ((train, config.seed), (val, None), (test, None)):
            own = [each[begin : begin + len(part)] for each in maps]
            found.append(Kept(part, own, config.batch, seed))
            begin += len(part)
        return found

    def kept(self, cache: Path | None) -> list[Tensor] | None:
        """Return features of the frozen encoder for all parts, concatenated; None if they need too much memory."""
        patches = pd.concat([self.data.parts[name].patches for name in PARTS])
        half, size = self.learner.half, self.config.size
        file = None
        if cache is not None:
            kind = f"{self.model.takes}-{size}-{'bf16' if half else 'fp32'}"
            # The settings that make different networks from the same file of weights.
            built = f"{self.config.dense} {self.config.stem} {self.model.encoder.pool}"
            seen = hashlib.sha256(
                f"{digest(self.model.standardise)} {digest(self.model.encoder)} {built}".encode()
            )
            of = f"{self.data.plan[:12]}-{seen.hexdigest()[:16]}"
            file = cache / f"features-{of}-{kind}.safetensors"
        return features(
            self.model,
            patches,
            size=size,
            reading=self.reading,
            half=half,
            most=self.config.memory_gb * 1e9,
            file=file,
        )

    def by_class(self, scorer: Scorer) -> list[dict[str, object]]:
        """See `Result.per_class`."""
        rows = zip(self.data.classes, scorer.per_class(), strict=True)
        return [{"name": known.name, "colour": known.colour, **row} for known, row in rows]


def named(part: str, figures: dict[str, float]) -> dict[str, float]:
    """Prefix figures with the name of their part."""
    return {f"{part}_{name}": value for name, value in figures.items()}


def head_of(encoder: Encoder, config: EvaluateConfig) -> str:
    """Return the name of the head: that of the settings, or the default for the encoder."""
    if config.head or config.task != "segmentation":
        return config.head or "linear"
    return encoder.map_head


def check_size(encoder: Encoder, config: EvaluateConfig) -> None:
    """Check that the encoder can process images of this size.

    Raises:
        UsageError: The size is not a multiple of what the encoder needs.
    """
    whole = encoder.multiple
    if config.task == "segmentation" and config.head == "ridge":
        whole = encoder.stride
    if config.size % whole:
        raise UsageError(
            f"The image size must be a multiple of {whole} pixels for this network, got {config.size}.",
            remedy="Give another --size.",
        )
