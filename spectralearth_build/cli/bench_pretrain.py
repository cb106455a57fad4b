"""The command `bench pretrain`, which measures training speed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spectralearth_build.api.torch import need_torch

Dataset = Annotated[
    Path | None,
    typer.Option(
        help="Also train from this dataset, to measure the time spent waiting for input.", file_okay=False
    ),
]


Cases = Annotated[
    str,
    typer.Option(help="Objectives and encoders, such as 'moco vit_s/4,mae vit_l/4'. Default: a set of six."),
]


Steps = Annotated[
    int,
    typer.Option(
        min=0, help="Number of measured steps, after two warm-up steps; 0: 20 on a GPU, 3 on a CPU."
    ),
]


def pretrain(
    dataset: Dataset = None,
    cases: Cases = "",
    batch: Annotated[int, typer.Option(min=0, help="Batch size; 0: 64 on a GPU, 2 on a CPU.")] = 0,
    steps: Steps = 0,
    device: Annotated[
        str, typer.Option(help="Device, such as cuda or cpu. Default: cuda if available.")
    ] = "",
    compiled: Annotated[
        bool, typer.Option("--compile", help="Compile the transformer blocks with torch.compile.")
    ] = False,
    recompute: Annotated[
        str,
        typer.Option(
            help="Parts that compute intermediate results again to save memory: none, adapter or all."
        ),
    ] = "none",
    out: Annotated[
        Path, typer.Option(help="Folder for the table (Parquet) and the plot.", file_okay=False)
    ] = Path("bench-results"),
) -> None:
    """Measure training speed of each objective, relative to the matrix-multiplication rate of the device.

    Reports samples and operations per second, the bytes kept for the gradient, the share of time spent waiting for
    input, and memory, for each objective and encoder. Batches are already on the device; with [bold]--dataset[/bold],
    they also come from a dataset.

    Example: [bold]spectralearth-build bench pretrain --dataset dataset/[/bold]
    """
    need_torch()
    import torch

    from spectralearth_build.bench.pretraining import training, training_report
    from spectralearth_build.bench.show import save
    from spectralearth_build.files import require_writable
    from spectralearth_build.pretrain.recompute import parts_of
    from spectralearth_build.progress import say, track
    from spectralearth_build.threads import cores

    parts = parts_of(recompute)
    require_writable(out)
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    gpu = where.type == "cuda"
    chosen = [training.case_of(text) for text in cases.split(",")] if cases else list(training.CASES)
    sources: list[Path | None] = [None] if dataset is None else [None, dataset]
    plan = [(case, source) for case in chosen for source in sources]
    limit, copies = training.matrix_rate(where), training.copy_rate(where)
    rows = [
        training.measure(
            case,
            where,
            batch or (64 if gpu else 2),
            steps or (20 if gpu else 3),
            compiled=compiled,
            dataset=source,
            again=parts,
        )
        for case, source in track(plan, "bench pretrain", len(plan))
    ]
    frame = training.table(rows, limit, copies)
    name = torch.cuda.get_device_name(where) if gpu else f"CPU, {cores()} cores"
    about = f"{name}, torch {torch.__version__}"
    for line in training_report.lines(frame, about):
        say(line)
    written = save(frame.assign(device=name), out / "bench-pretrain.parquet")
    picture = training_report.draw(frame, out / "bench-pretrain.png", about)
    say(f"bench: wrote {written}, {picture}")
