"""The cells of a comparison: all combinations, and their names."""

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
"""Version of a cell's record. A new version makes all cells run again."""

INDECISIVE = ("device", "memory_gb", "allow_seen")
"""Settings that do not define the result, only whether, where and how it is computed."""


@dataclass(frozen=True)
class GridCell:
    """One evaluation."""

    task: str
    encoder: str
    initialisation: str
    """Objective of the pretraining, or random."""
    protocol: str
    fraction: float
    """Share of the training labels."""
    seed: int

    @property
    def name(self) -> str:
        """Readable name, also for files, such as ``corine.resnet50-moco.frozen.10pct.s0``."""
        parts = (self.task, f"{self.encoder}-{self.initialisation}", self.protocol)
        return ".".join([*map(slug, parts), f"{percent(self.fraction)}pct", f"s{self.seed}"])


@dataclass(frozen=True)
class CellJob:
    """A cell with everything needed to run it."""

    cell: GridCell
    weights: str
    """File of the encoder; empty: random."""
    settings: dict[str, Any] = field(hash=False)
    """Arguments of `evaluate.task_config.EvaluateConfig`; those of the encoder are under ``encoder``."""
    inputs: str
    """Digests of the inputs: dataset, labels, weights, and the class table if it is not that of the labels."""

    @property
    def digest(self) -> str:
        """Return the SHA-256 of everything that determines the result. A cell whose digest is unchanged is done."""
        decisive = {name: value for name, value in self.settings.items() if name not in INDECISIVE}
        # The class table is among the inputs, so its path does not matter.
        decisive["nomenclature"] = ""
        parts = {"format": FORMAT, "settings": decisive, "inputs": self.inputs, "cell": asdict(self.cell)}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    @property
    def key(self) -> str:
        """Return the name of its folder: the readable name and eight digits of the digest."""
        return f"{self.cell.name}-{self.digest[:8]}"


@dataclass(frozen=True)
class CellInputs:
    """Digests of the input data of cells."""

    dataset: str
    """Digest of the patches and their splits."""
    labels: dict[str, str]
    """Digest of each label set, by name."""
    weights: dict[str, str]
    """Digest of each weights file, by path."""
    classes: dict[str, str]
    """Digest of each class table, by the name or file that tasks give as nomenclature."""


def jobs(config: GridConfig, inputs: CellInputs) -> Iterator[CellJob]:
    """Yield all cells, grouped by encoder and initialisation.

    Args:
        config: the settings of the comparison.
        inputs: digests of all labels, weights files and class tables that the settings name.
    """
    for cell, (encoder, task) in cells_of(config).items():
        weights = weights_of(encoder, cell.initialisation, cell.seed)
        read = [inputs.dataset, inputs.labels[task.labels], inputs.weights[weights] if weights else RANDOM]
        if task.nomenclature:
            read.append(inputs.classes[task.nomenclature])
        yield CellJob(cell, weights, settings_of(config, encoder, task, cell), " ".join(read))


def cells_of(config: GridConfig) -> dict[GridCell, tuple[EncoderEntry, TaskEntry]]:
    """Return every cell once, in the order of `jobs`, with its encoder and task."""
    return {
        cell: (encoder, task)
        for encoder in config.encoders
        for initialisation in encoder.initialisations
        for task in config.tasks
        for cell in _cells(config, encoder, initialisation, task)
    }


def weights_of(encoder: EncoderEntry, initialisation: str, seed: int) -> str:
    """Return the path of the weights file; empty for random weights."""
    return "" if initialisation == RANDOM else encoder.pretrained[initialisation].format(seed=seed)


def weight_files(config: GridConfig) -> set[str]:
    """Return all weights files that the cells read."""
    cells = cells_of(config).items()
    return {weights_of(encoder, cell.initialisation, cell.seed) for cell, (encoder, _) in cells} - {""}


def protocols_of(asked: tuple[str, ...], initialisation: str) -> list[str]:
    """Return the protocols for an initialisation. From random weights (and only these), finetune becomes scratch."""
    if initialisation == RANDOM:
        return list(dict.fromkeys("scratch" if name == "finetune" else name for name in asked))
    return [name for name in asked if name != "scratch"]


def slug(text: str) -> str:
    """Reduce a name to letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "x"


def percent(fraction: float) -> str:
    """Format a share in percent, without a trailing point."""
    return f"{100 * fraction:.6g}"


def _cells(
    config: GridConfig, encoder: EncoderEntry, initialisation: str, task: TaskEntry
) -> Iterator[GridCell]:
    """Yield the cells of one initialisation and task, grid by grid. Some may occur twice."""
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
    """Return the settings for `evaluate`. More specific settings override more general ones."""
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
