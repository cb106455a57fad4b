"""Evaluate one encoder on labels, or compare many. torch is imported only when a function is called."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spectralearth_build.api.entry import new, public
from spectralearth_build.api.torch import need_torch
from spectralearth_build.arguments import whole
from spectralearth_build.evaluate.task_config import EvaluateConfig
from spectralearth_build.settings import layered
from spectralearth_build.texts import counted

if TYPE_CHECKING:
    import pandas as pd

    from spectralearth_build.downstream.grid_config import GridConfig
    from spectralearth_build.evaluate.result import Result

REMEDY = "See `spectralearth-build evaluate --help`."


@public
def evaluate_encoder(
    dataset: str | Path,
    labels: str,
    task: str,
    encoder: str | Path | None = None,
    output: str | Path = "evaluation",
    *,
    protocol: str = "frozen",
    head: str = "",
    classes: str = "",
    fraction: float = 1.0,
    seed: int = 0,
    seeds: int = 1,
    device: str = "",
    cache: str | Path | None = None,
    allow_seen: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> list[Result]:
    """Score an encoder on labels: train a head, choose the epoch on val, report micro and macro scores on test.

    The same as ``spectralearth-build evaluate``. Finished evaluations are not run again.

    Args:
        dataset: folder or URL of a dataset with labels and splits.
        labels: name of the labels, as given to `pair_labels`.
        task: multilabel, segmentation or single.
        encoder: ``encoder.safetensors`` of a run; None: random weights.
        output: folder for the results; with several seeds, it contains one folder for each.
        protocol: what is trained. frozen: the head only; adapter: the head and the spectral adapter; finetune:
            everything; scratch: everything, from random weights.
        head: for patches: linear, knn or ridge; for segmentation: conv, fcn, unet, deeplab, upconv or ridge; empty:
            the default of the task.
        classes: class table, such as corine19; empty: that of the labels.
        fraction: share of the training locations whose labels are used, 0 to 1.
        seed: random seed of the weights, the choice of labels and the order of samples.
        seeds: number of runs, with consecutive seeds.
        device: device, such as cuda or cpu; empty: cuda if available.
        cache: folder in which to cache the features of frozen encoders.
        allow_seen: whether to evaluate an encoder even if it was trained on ground of val or test.
        settings: further settings by name, such as epochs, batch, rate or size; the evaluation page lists all.

    Returns:
        The result of each seed.

    Raises:
        BuildError: torch is missing, or dataset, labels, split and encoder do not match.

    Examples:
        ```python
        [result] = evaluate_encoder("dataset", "corine", "multilabel", "run/encoder.safetensors")
        print(result.figures["test_f1_macro"])
        ```
    """
    given = {
        "labels": labels, "task": task, "protocol": protocol, "head": head, "nomenclature": classes,
        "fraction": fraction, "seed": seed, "device": device, **({"allow_seen": True} if allow_seen else {}),
    }  # fmt: skip
    config = layered(EvaluateConfig, given, settings or {}, remedy=REMEDY)
    need_torch("Evaluation")
    weights, kept = (None if encoder is None else Path(encoder)), (None if cache is None else new(cache))
    return judged(dataset, weights, config, new(output), whole("seeds", seeds, 1), kept)


def judged(
    dataset: str | Path,
    encoder: Path | None,
    config: EvaluateConfig,
    output: Path,
    seeds: int,
    cache: Path | None,
) -> list[Result]:
    """Evaluate an encoder with consecutive seeds, and print the metrics; see `evaluate_encoder`."""
    from spectralearth_build.evaluate.run import evaluate
    from spectralearth_build.files import require_writable
    from spectralearth_build.progress import say

    for folder in (output, cache or output):
        require_writable(folder)
    kept = cache or (output / "features" if seeds > 1 and encoder else None)
    runs = repeated(config, seeds, output)
    results = [evaluate(dataset, encoder, each, folder, kept) for each, folder in runs]
    for line in told(results):
        say(line)
    say(f"Results: {output}")
    return results


def repeated(config: EvaluateConfig, seeds: int, output: Path) -> list[tuple[EvaluateConfig, Path]]:
    """Return the configurations with consecutive seeds, and the folder of each."""
    if seeds == 1:
        return [(config, output)]
    configs = [config.changed(seed=config.seed + number) for number in range(seeds)]
    return [(each, output / f"seed-{each.seed}") for each in configs]


def told(results: list[Result]) -> list[str]:
    """Return the lines to print for evaluations that differ only in their seed."""
    notes = dict.fromkeys(note for result in results for note in result.notes)
    return [samples(results[0]), summary(results), *notes]


def summary(results: list[Result]) -> str:
    """Return a table of the metrics on val and test, with the standard deviation over seeds."""
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
    """Return one line on the numbers of samples and trained parameters."""
    count = result.samples
    return (
        f"{counted(count['train'], 'patch', 'patches')} of {counted(count['locations'], 'location')} to "
        f"train on, {count['val']} val, {count['test']} test, {count['unlabelled']} without labels; "
        f"{result.trainable:,} parameters trained"
    )


@public
def compare_encoders(
    config: str | Path, output: str | Path, *, scheduler: str = "", workers: int | None = None
) -> pd.DataFrame:
    """Compare encoders: run all encoders, initialisations, protocols, tasks, label fractions and seeds of a TOML file.

    The same as ``spectralearth-build downstream``. Each combination is one evaluation. An evaluation that fails is
    reported and does not stop the others. To continue after a stop, call the function again.

    Args:
        config: TOML file of the comparison; see the page on the downstream benchmark.
        output: folder for results, tables, plots and the page.
        scheduler: address of a Dask scheduler, or ``"inline"`` for this process; empty: a local cluster.
        workers: number of local worker processes; None: one per core.

    Returns:
        One row for each combination, with its settings, ``status`` and metrics.

    Raises:
        BuildError: torch is missing, or the file has mistakes. The message names each.

    Examples:
        ```python
        results = compare_encoders("downstream.toml", "comparison", workers=2)
        print(results[results["status"] == "failed"])
        ```
    """
    need_torch("Evaluation")
    from spectralearth_build.downstream.config_file import load
    from spectralearth_build.files import require_writable

    settings, folder = load(Path(config), scheduler=scheduler, workers=workers), new(output)
    require_writable(folder)
    return compared(settings, folder)


def compared(config: GridConfig, out: Path, page_only: bool = False) -> pd.DataFrame:
    """Run the evaluations that are not done yet, then write tables, plots and the page; see `compare_encoders`.

    Args:
        config: what to compare.
        out: folder for the results.
        page_only: whether to run nothing, and write the page from the finished evaluations.
    """
    from spectralearth_build.bench.show import table
    from spectralearth_build.downstream.page import classes_of, write
    from spectralearth_build.downstream.result_tables import sheets
    from spectralearth_build.downstream.run import planned, run
    from spectralearth_build.downstream.separation import told as separation
    from spectralearth_build.lock import alone
    from spectralearth_build.progress import say

    classes = classes_of(config)
    with nullcontext() if page_only else alone(out.resolve()):  # the page can be written while cells run
        cells = planned(config) if page_only else run(config, out.resolve())
        results, files = write(config, cells, out.resolve(), classes, separation(config))
    for sheet in sheets(config, results):  # transposed so that they fit the terminal
        say(table(sheet.title, *sheet.turned()))
    say(f"downstream: {', '.join(path.name for path in files if path.suffix in ('.html', '.md'))} in {out}")
    return results
