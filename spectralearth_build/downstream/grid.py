"""The cells of a benchmark: what is crossed with what, and the name of each."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from spectralearth_build.downstream.grid_config import RANDOM, EncoderEntry, GridConfig, TaskEntry
from spectralearth_build.evaluate.task_config import Training

FORMAT = 1
"""Of a cell's record; another one makes all cells anew."""

INDECISIVE = ("device", "memory_gb")
"""Settings that do not change what is asked, only where and how it is computed."""


@dataclass(frozen=True)
class GridCell:
    """One evaluation."""

    task: str
    encoder: str
    initialisation: str
    """Objective of the pretraining, or random."""
    protocol: str
    fraction: float
    """Share of the labels."""
    seed: int

    @property
    def name(self) -> str:
        """Its name for people and file systems, such as ``corine.resnet50-moco.frozen.10pct.s0``."""
        parts = (self.task, f"{self.encoder}-{self.initialisation}", self.protocol)
        return ".".join([*map(slug, parts), f"{percent(self.fraction)}pct", f"s{self.seed}"])


@dataclass(frozen=True)
class CellJob:
    """A cell with all that it takes to run it."""

    cell: GridCell
    weights: str
    """File of the encoder; empty: random."""
    settings: dict[str, Any] = field(hash=False)
    """Arguments of `evaluate.task_config.EvaluateConfig`, those of the encoder under ``encoder``."""
    inputs: str
    """Digests of what is read: dataset, labels, weights, and the class table if it is not that of the labels."""

    @property
    def digest(self) -> str:
        """SHA-256 of all that decides about the outcome; the same means that nothing has to run again."""
        decisive = {name: value for name, value in self.settings.items() if name not in INDECISIVE}
        # The classes are among the inputs; where a file of them lies decides nothing.
        decisive["nomenclature"] = ""
        parts = {"format": FORMAT, "settings": decisive, "inputs": self.inputs, "cell": asdict(self.cell)}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    @property
    def key(self) -> str:
        """Name of its folder: readable, with eight digits of the digest."""
        return f"{self.cell.name}-{self.digest[:8]}"


@dataclass(frozen=True)
class Inputs:
    """Digests of what the cells read."""

    dataset: str
    """Of the patches and their splits."""
    labels: dict[str, str]
    """By name."""
    weights: dict[str, str]
    """By file."""
    classes: dict[str, str]
    """Of class tables, by the name or file that tasks give as nomenclature."""


def jobs(config: GridConfig, inputs: Inputs) -> Iterator[CellJob]:
    """All cells, those of one encoder and start together.

    Args:
        config: the benchmark.
        inputs: of all labels, files of weights and class tables that it names.
    """
    for cell, (encoder, task) in cells_of(config).items():
        weights = weights_of(encoder, cell.initialisation, cell.seed)
        read = [inputs.dataset, inputs.labels[task.labels], inputs.weights[weights] if weights else RANDOM]
        if task.nomenclature:
            read.append(inputs.classes[task.nomenclature])
        yield CellJob(cell, weights, settings_of(config, encoder, task, cell), " ".join(read))


def cells_of(config: GridConfig) -> dict[GridCell, tuple[EncoderEntry, TaskEntry]]:
    """Every cell once, in the order of `jobs`, with its encoder and its task."""
    return {
        cell: (encoder, task)
        for encoder in config.encoders
        for initialisation in encoder.initialisations
        for task in config.tasks
        for cell in _cells(config, encoder, initialisation, task)
    }


def weights_of(encoder: EncoderEntry, initialisation: str, seed: int) -> str:
    """File of weights; empty for random ones."""
    return "" if initialisation == RANDOM else encoder.pretrained[initialisation].format(seed=seed)


def weight_files(config: GridConfig) -> set[str]:
    """Every file of weights that the cells read."""
    cells = cells_of(config).items()
    return {weights_of(encoder, cell.initialisation, cell.seed) for cell, (encoder, _) in cells} - {""}


def protocols_of(asked: tuple[str, ...], initialisation: str) -> list[str]:
    """The protocols of a start: from random weights, fine-tuning is training from scratch, and only from those."""
    if initialisation == RANDOM:
        return list(dict.fromkeys("scratch" if name == "finetune" else name for name in asked))
    return [name for name in asked if name != "scratch"]


def slug(text: str) -> str:
    """A name with nothing in it but letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "x"


def percent(fraction: float) -> str:
    """A share in percent, without a trailing point."""
    return f"{100 * fraction:.6g}"


def _cells(
    config: GridConfig, encoder: EncoderEntry, initialisation: str, task: TaskEntry
) -> Iterator[GridCell]:
    """The cells of one start and one task, grid by grid; some may come twice."""
    for grid in config.grids(task, encoder):
        for protocol in protocols_of(grid.protocols, initialisation):
            for fraction in grid.fractions:
                for seed in grid.seeds:
                    yield GridCell(
                        task.name,
                        encoder.name,
                        initialisation=initialisation,
                        protocol=protocol,
                        fraction=fraction,
                        seed=seed,
                    )


def settings_of(config: GridConfig, encoder: EncoderEntry, task: TaskEntry, cell: GridCell) -> dict[str, Any]:
    """What `evaluate` is told; the more particular goes before the more general."""
    own: Training = getattr(config.evaluate, cell.protocol)
    training = config.evaluate.overrides() | own.overrides() | task.overrides()
    return {
        **training,
        "labels": task.labels,
        "task": task.task,
        "nomenclature": task.nomenclature,
        "protocol": cell.protocol,
        "fraction": cell.fraction,
        "seed": cell.seed,
        "encoder": {"name": encoder.network, "patch": encoder.patch, "image": encoder.image},
    }
