"""The settings of a comparison: encoders, tasks, grids, and how each cell is trained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from spectralearth_build.config import RunConfig
from spectralearth_build.evaluate.task_config import CHOOSES, FIGURES, PROTOCOLS, Protocol, Training
from spectralearth_build.evaluate.task_config import Task as Kind
from spectralearth_build.pretrain.training_config import Network
from spectralearth_build.settings import Section
from spectralearth_build.settings.bounds import Count, CountOrNone, Seed, Share

RANDOM = "random"
"""Name of the initialisation that needs no file."""


def _unique(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if not values or len(set(values)) < len(values):
        raise ValueError("give at least one value, and each only once")
    return values


def _shares(values: tuple[float, ...]) -> tuple[float, ...]:
    if not all(0 < value <= 1 for value in values):
        raise ValueError("fractions must be above 0 and at most 1")
    return _unique(values)


Protocols = Annotated[tuple[Protocol, ...], AfterValidator(_unique)]
Fractions = Annotated[tuple[float, ...], AfterValidator(_shares)]
Seeds = Annotated[tuple[Seed, ...], AfterValidator(_unique)]


class Evaluate(Training):
    """How to train all cells. A table named after a protocol overrides settings for that protocol."""

    frozen: Training = Training()
    finetune: Training = Training()
    adapter: Training = Training()
    scratch: Training = Training()


class TaskEntry(Training):
    """A prediction task. Its own settings override those of [evaluate]."""

    name: Annotated[str, Field(min_length=1)]
    """Name in tables."""
    labels: Annotated[str, Field(min_length=1)]
    """Name of the labels in the dataset, as given to `pair`."""
    task: Kind
    """Kind of task: multilabel, segmentation or single."""
    nomenclature: str = ""
    """Class table, as a name or CSV file; absent: that of the labels."""
    metric: str = ""
    """Figure to show in tables, such as iou_micro."""

    @model_validator(mode="after")
    def _check(self) -> TaskEntry:
        if self.shown not in FIGURES[self.task]:
            listed = ", ".join(FIGURES[self.task])
            raise ValueError(f"{self.task} has no metric '{self.metric}'; it has: {listed}")
        return self

    @property
    def shown(self) -> str:
        """Return the figure that tables and plots show."""
        return self.metric or CHOOSES[self.task]


class EncoderEntry(Section):
    """An encoder architecture, and its possible initial weights."""

    name: Annotated[str, Field(min_length=1)]
    """Name in tables."""
    network: Network
    """Architecture, named as in `pretrain`, such as vit_s."""
    patch: Count = 4
    """ViT only: edge of the patches in pixels."""
    image: CountOrNone = 0
    """ViT only: edge of the images that the position embeddings are made for."""
    random: bool = True
    """Whether to compare random weights too."""
    pretrained: dict[str, str] = Field(default={})
    """Weights files by objective. {seed} in a path is replaced by the seed of the cell."""

    @model_validator(mode="after")
    def _check(self) -> EncoderEntry:
        if RANDOM in self.pretrained:
            raise ValueError("'random' needs no file; set random = true instead")
        if not self.random and not self.pretrained:
            raise ValueError("give pretrained weights, or set random = true")
        return self

    @property
    def initialisations(self) -> tuple[str, ...]:
        """Return the possible initialisations, random weights last."""
        return (*self.pretrained, *((RANDOM,) if self.random else ()))


class PublishedResult(Section):
    """A published number, shown next to ours and marked as published."""

    task: str
    """Name of the task."""
    encoder: str
    """Their name of the network."""
    initialisation: str
    """Their name of its pretraining."""
    protocol: Protocol
    """The protocol of ours that corresponds to theirs."""
    fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the training labels."""
    value: Share
    """The number as a share, not in percent."""
    source: Annotated[str, Field(min_length=1)]
    """Source of the number: paper, version, table."""


class GridAxes(Section):
    """A grid of combinations. From random weights, finetune becomes scratch."""

    tasks: tuple[str, ...] = ()
    """Names of the tasks; absent: all."""
    encoders: tuple[str, ...] = ()
    """Names of the encoders; absent: all."""
    protocols: Protocols = PROTOCOLS
    """Protocols, which say what is trained besides the head."""
    fractions: Fractions = (1.0,)
    """Shares of the training labels, above 0 and at most 1."""
    seeds: Seeds = (0, 1, 2)
    """Random seeds of heads, random weights, choice of labels and sample order."""


class BenchmarkRun(RunConfig):
    """Where cells run: as [run] of every configuration, but with more time per task."""

    task_timeout: Count = 172_800
    """Time limit of a cell in seconds, after which it counts as hung."""


class GridConfig(Section):
    """All settings of a comparison."""

    dataset: Annotated[str, Field(min_length=1)]
    """Folder or URL of a dataset that has splits and labels."""
    title: str = "Downstream benchmark"
    """Title of the page."""
    tasks: tuple[TaskEntry, ...] = Field(min_length=1)
    encoders: tuple[EncoderEntry, ...] = Field(min_length=1)
    grid: tuple[GridAxes, ...] = Field(default=(GridAxes(),), min_length=1)
    evaluate: Evaluate = Evaluate()
    published: tuple[PublishedResult, ...] = ()
    run: BenchmarkRun = BenchmarkRun()

    @model_validator(mode="after")
    def _check(self) -> GridConfig:
        for kind, names in (("tasks", [task.name for task in self.tasks]),
                            ("encoders", [encoder.name for encoder in self.encoders])):  # fmt: skip
            if twice := [name for name, count in Counter(names).items() if count > 1]:
                raise ValueError(f"{kind}: the name '{twice[0]}' is used twice")
        tasks, encoders = {task.name for task in self.tasks}, {encoder.name for encoder in self.encoders}
        _known("published: there is no task", [one.task for one in self.published], tasks)
        _known("grid: there is no task", [name for grid in self.grid for name in grid.tasks], tasks)
        _known("grid: there is no encoder", [name for grid in self.grid for name in grid.encoders], encoders)
        return self

    def grids(self, task: TaskEntry, encoder: EncoderEntry) -> Iterator[GridAxes]:
        """Yield the grids that contain a task and an encoder."""
        for grid in self.grid:
            if task.name in (grid.tasks or (task.name,)) and encoder.name in (
                grid.encoders or (encoder.name,)
            ):
                yield grid


def _known(what: str, names: Sequence[str], known: set[str]) -> None:
    if strange := [name for name in names if name not in known]:
        raise ValueError(f"{what} '{strange[0]}'; there are: {', '.join(sorted(known))}")
