"""The command `evaluate`, which scores an encoder on labels. It imports torch only when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from spectralearth_build.api.torch import need_torch

Encoder = Annotated[
    Path | None,
    typer.Option(
        help="encoder.safetensors of a run, or published weights beside their mu.npy and sigma.npy. Default: random "
        "weights.",
        exists=True,
        dir_okay=False,
    ),
]
Head = Annotated[
    str,
    typer.Option(
        help="For patches: linear, knn or ridge. For segmentation: conv, fcn, unet, deeplab, upconv or ridge."
    ),
]
Seed = Annotated[
    int,
    typer.Option(min=0, help="Random seed of the weights, the choice of labels and the order of samples."),
]
Cache = Annotated[
    Path | None,
    typer.Option(help="Folder in which to cache the features of frozen encoders.", file_okay=False),
]
SingleSettings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override one setting, such as dense, stem, boundary or encoder.name. See docs/evaluation.md.",
    ),
]


AllowSeen = Annotated[
    bool,
    typer.Option("--allow-seen", help="Evaluate an encoder even if it was trained on ground of val or test."),
]
Dataset = Annotated[
    str, typer.Argument(metavar="DATASET", help="Folder or URL of a dataset that has labels and splits.")
]


Protocol = Annotated[str, typer.Option(help="What to train: frozen, adapter, finetune or scratch.")]


Classes = Annotated[str, typer.Option(help="Class table, such as corine19. Default: that of the labels.")]


def evaluate(
    dataset: Dataset,
    labels: Annotated[str, typer.Option(help="Name of the labels, as given to `pair`.")],
    task: Annotated[str, typer.Option(help="Task: multilabel, segmentation or single.")],
    encoder: Encoder = None,
    protocol: Protocol = "frozen",
    head: Head = "",
    classes: Classes = "",
    fraction: Annotated[float, typer.Option(help="Share of the training labels to use, 0-1.")] = 1.0,
    epochs: Annotated[int | None, typer.Option(help="Number of epochs. Default: 100.")] = None,
    batch: Annotated[int | None, typer.Option(help="Batch size. Default: 64.")] = None,
    rate: Annotated[float | None, typer.Option(help="Initial learning rate. Default: 1e-3.")] = None,
    size: Annotated[int | None, typer.Option(help="Edge of the images in pixels. Default: 128.")] = None,
    seed: Seed = 0,
    seeds: Annotated[int, typer.Option(min=1, help="Number of runs, with consecutive seeds.")] = 1,
    device: Annotated[
        str, typer.Option(help="Device, such as cuda or cpu. Default: the GPU if there is one.")
    ] = "",
    output: Annotated[Path, typer.Option(help="Folder for the results.", file_okay=False)] = Path(
        "evaluation"
    ),
    cache: Cache = None,
    allow_seen: AllowSeen = False,
    setting: SingleSettings = None,
) -> None:
    """Score an encoder on labels: train a head, choose the epoch on val, report micro and macro scores on test.

    The protocol says what is trained. frozen: the head only. adapter: the head and the spectral adapter. finetune:
    everything. scratch: everything, from random weights. The heads knn and ridge need no epochs. Finished evaluations
    are not run again.

    Example: [bold]spectralearth-build evaluate dataset/ --labels corine --task multilabel --encoder
    run/encoder.safetensors[/bold]

    Next: [bold]downstream[/bold] compares encoders, protocols and shares of labels in one table.
    """
    from spectralearth_build.api.judging import REMEDY, judged
    from spectralearth_build.evaluate.task_config import EvaluateConfig
    from spectralearth_build.settings import layered

    optional: dict[str, Any] = {"epochs": epochs, "batch": batch, "rate": rate, "size": size}
    given = {
        "labels": labels, "task": task, "protocol": protocol, "head": head, "nomenclature": classes,
        "fraction": fraction, "seed": seed, "device": device, **({"allow_seen": True} if allow_seen else {}),
        **{name: value for name, value in optional.items() if value is not None},
    }  # fmt: skip
    config = layered(EvaluateConfig, given, setting or [], remedy=REMEDY)
    need_torch("Evaluation")
    judged(dataset, encoder, config, output, seeds, cache)
