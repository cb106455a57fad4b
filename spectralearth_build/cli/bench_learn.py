"""The command `bench learn`, which checks that pretraining learns."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spectralearth_build.api.torch import need_torch


def learn(
    seeds: Annotated[int, typer.Option(min=1, help="Number of random initialisations per objective.")] = 3,
    share: Annotated[
        float,
        typer.Option(
            min=0.001, help="Share of the default number of steps (600 for MAE, 100 to 200 for the others)."
        ),
    ] = 1.0,
    work: Annotated[
        Path,
        typer.Option(
            help="Folder for the archive, dataset and runs. Existing ones are reused.", file_okay=False
        ),
    ] = Path("bench-data"),
    out: Annotated[Path, typer.Option(help="Folder for the table (Parquet).", file_okay=False)] = Path(
        "bench-results"
    ),
) -> None:
    """Train small encoders on a synthetic archive with known land cover, and compare with random initialisation.

    For every objective, k-NN and a linear probe predict the land cover of held-out locations, before and after
    training. Takes about half an hour on two cores.

    Example: [bold]spectralearth-build bench learn[/bold]

    Next: [bold]bench pretrain[/bold], which measures speed.
    """
    need_torch()
    import pandas as pd

    from spectralearth_build.bench.pretraining import learning
    from spectralearth_build.bench.pretraining.ground import dataset_of
    from spectralearth_build.bench.show import save, table
    from spectralearth_build.files import require_writable
    from spectralearth_build.progress import say

    for folder in (work, out):
        require_writable(folder)
    dataset = dataset_of(work.resolve())
    rows = pd.DataFrame(learning.learn(dataset, work.resolve(), seeds, share))
    head = (
        "objective",
        "random k-NN",
        "trained k-NN",
        "random linear",
        "trained linear",
        "worst gain, k-NN",
        "linear",
    )
    say(table(f"accuracy on held-out locations, mean of {seeds} initialisations", head, learning.gains(rows)))
    plain = learning.baseline(dataset)
    say(f"For comparison, the mean spectrum: k-NN {plain['knn']:.3f}, linear {plain['linear']:.3f}")
    say(f"bench: wrote {save(rows, out / 'bench-learn.parquet')}")
