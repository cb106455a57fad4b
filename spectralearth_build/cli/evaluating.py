"""The verb that judges an encoder by labels: `evaluate`. torch is imported only when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spectralearth_build.cli.torch import need_torch
from spectralearth_build.texts import counted

if TYPE_CHECKING:
    from spectralearth_build.evaluate.result import Result
    from spectralearth_build.evaluate.task_config import EvaluateConfig

REMEDY = "See `spectralearth-build evaluate --help`."


def evaluate(
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", help="Folder or URL of a dataset with labels and splits.")
    ],
    labels: Annotated[str, typer.Option(help="Name of the labels, as `pair` made them.")],
    task: Annotated[str, typer.Option(help="multilabel, segmentation or single.")],
    encoder: Annotated[
        Path | None,
        typer.Option(help="encoder.safetensors of a run; none: random weights.", exists=True, dir_okay=False),
    ] = None,
    protocol: Annotated[str, typer.Option(help="frozen, adapter, finetune or scratch.")] = "frozen",
    head: Annotated[
        str, typer.Option(help="linear, knn, ridge; conv, fcn, unet, deeplab, upconv, ridge.")
    ] = "",
    classes: Annotated[str, typer.Option(help="Table of classes, if not that of the labels.")] = "",
    fraction: Annotated[float, typer.Option(help="Share of the labels of train.")] = 1.0,
    epochs: Annotated[int | None, typer.Option(help="Passes over them; 100.")] = None,
    batch: Annotated[int | None, typer.Option(help="Samples of a step; 64.")] = None,
    rate: Annotated[float | None, typer.Option(help="Learning rate at first; 1e-3.")] = None,
    size: Annotated[int | None, typer.Option(help="Edge of the images, pixels; 128.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of weights, choice of labels, order.")] = 0,
    seeds: Annotated[int, typer.Option(min=1, help="Do it so often, with seeds one after the other.")] = 1,
    device: Annotated[str, typer.Option(help="cuda, cpu, ...; where there is a GPU, that.")] = "",
    output: Annotated[Path, typer.Option(help="Folder for the results.", file_okay=False)] = Path(
        "evaluation"
    ),
    cache: Annotated[
        Path | None, typer.Option(help="Folder where features of frozen encoders are kept.", file_okay=False)
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="dense, stem, boundary, encoder.name, ...: see the docs."
        ),
    ] = None,
) -> None:
    """Judge an encoder by labels: train a head, choose the epoch on val, report test, micro and macro.

    frozen trains the head alone, adapter also the spectral adapter, finetune everything, scratch everything from random
    weights. knn and ridge answer without epochs. What is finished is not done again.

    Example: [bold]spectralearth-build evaluate dataset/ --labels corine --task multilabel --encoder
    run/encoder.safetensors[/bold]

    Next: [bold]downstream[/bold] compares encoders, protocols and shares of labels in one table.
    """
    from spectralearth_build.evaluate.task_config import EvaluateConfig
    from spectralearth_build.files import require_writable
    from spectralearth_build.progress import say
    from spectralearth_build.settings import layered

    optional: dict[str, Any] = {"epochs": epochs, "batch": batch, "rate": rate, "size": size}
    given = {
        "labels": labels, "task": task, "protocol": protocol, "head": head, "nomenclature": classes,
        "fraction": fraction, "seed": seed, "device": device,
        **{name: value for name, value in optional.items() if value is not None},
    }  # fmt: skip
    config = layered(EvaluateConfig, given, setting or [], remedy=REMEDY)
    need_torch("Evaluation")
    from spectralearth_build.evaluate.run import evaluate as judge

    for folder in (output, cache or output):
        require_writable(folder)
    kept = cache or (output / "features" if seeds > 1 and encoder else None)
    runs = repeated(config, seeds, output)
    for line in told([judge(dataset, encoder, each, folder, kept) for each, folder in runs]):
        say(line)
    say(f"Results: {output}")


def repeated(config: EvaluateConfig, seeds: int, output: Path) -> list[tuple[EvaluateConfig, Path]]:
    """Configurations with seeds one after the other, and the folder of each."""
    if seeds == 1:
        return [(config, output)]
    configs = [config.changed(seed=config.seed + number) for number in range(seeds)]
    return [(each, output / f"seed-{each.seed}") for each in configs]


def told(results: list[Result]) -> list[str]:
    """What is said of evaluations that differ in their seed."""
    notes = dict.fromkeys(note for result in results for note in result.notes)
    return [samples(results[0]), summary(results), *notes]


def summary(results: list[Result]) -> str:
    """A table of the figures: val and test, and how far seeds lie apart."""
    from statistics import fmean, stdev

    from spectralearth_build.bench.show import table

    first = results[0]
    names = [name.removeprefix("test_") for name in first.figures if name.startswith("test_")]
    rows = []
    for name in names:
        found = {part: [each.figures[f"{part}_{name}"] for each in results] for part in ("val", "test")}
        row = [name, *(f"{fmean(values):.3f}" for values in found.values())]
        rows.append(row + ([f"{stdev(found['test']):.3f}"] if len(results) > 1 else []))
    spread = [f"+- ({len(results)} seeds)"] if len(results) > 1 else []
    return table("Figures", ["figure", "val", "test", *spread], rows)


def samples(result: Result) -> str:
    """What was learned from and judged by, in a line."""
    count = result.samples
    return (
        f"{counted(count['train'], 'patch', 'patches')} of {counted(count['locations'], 'location')} to learn from, "
        f"{count['val']} val, {count['test']} test, {count['unlabelled']} without labels; "
        f"{result.trainable:,} parameters trained"
    )
