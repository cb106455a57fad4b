"""Commands on encoders: `pretrain`, `embed` and `export-encoder`. They import torch only when they run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spectralearth_build.cli.torch import need_torch
from spectralearth_build.errors import UsageError
from spectralearth_build.texts import counted

if TYPE_CHECKING:
    from spectralearth_build.pretrain.training_config import PretrainConfig

REMEDY = "Run `spectralearth-build pretrain-template` to list all settings."
Source = Annotated[str, typer.Argument(metavar="DATASET", help="Folder or URL of a finished dataset.")]


def pretrain(
    dataset: Source,
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Folder of the run, for checkpoints, log and encoder.")
    ],
    config: Annotated[
        Path | None, typer.Option(help="TOML file of settings; see `pretrain-template`.", dir_okay=False)
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="SECTION.KEY=VALUE",
            help="Override one setting, such as train.steps=1000. Repeatable.",
        ),
    ] = None,
) -> None:
    """Pretrain a spectral encoder on a dataset: MoCo-v2, DINO, MAE or SimCLR.

    The same command continues from the newest checkpoint. SIGTERM saves a checkpoint and exits with 75. To train in
    several processes: [bold]torchrun --nproc-per-node 4 -m spectralearth_build pretrain ...[/bold]

    Example: [bold]spectralearth-build pretrain dataset/ run/ --set objective=mae --set encoder.name=vit_b[/bold]

    Next: [bold]embed[/bold] a dataset with run/encoder.safetensors, or load the encoder in Python.
    """
    from spectralearth_build.pretrain.training_config import PretrainConfig
    from spectralearth_build.settings import read

    settings = read(PretrainConfig, config, setting or [], REMEDY)
    need_torch()
    from spectralearth_build.pretrain.processes import together

    with together():
        _train(dataset, run, settings)


def _train(dataset: str, folder: Path, config: PretrainConfig) -> None:
    from spectralearth_build.cli.loss_picture import draw_log
    from spectralearth_build.pretrain.objectives.across import world
    from spectralearth_build.pretrain.setup import finish, prepare
    from spectralearth_build.progress import counting, say
    from spectralearth_build.signals import is_stopped

    made = prepare(dataset, folder, config)
    first = world()[0] == 0
    with counting(f"pretrain {made.config.objective}", made.total, first) as advance:

        def report(step: int, total: int, figures: dict[str, float]) -> None:
            advance(step, line(figures))
            if warning := made.warning(figures):
                say(f"Step {step}: {warning}")

        made.train(report, is_stopped)
    encoder = finish(made)
    if first:
        say(f"Encoder: {encoder}. Losses: {draw_log(folder)}.")


def pretrain_template() -> None:
    """Print all settings of [bold]pretrain[/bold] as commented TOML.

    Example: [bold]spectralearth-build pretrain-template > pretrain.toml[/bold]
    """
    from spectralearth_build.pretrain.training_config import PretrainConfig
    from spectralearth_build.settings import template

    print(template(PretrainConfig(), "pretrain"), end="")


def embed(
    dataset: Source,
    encoder: Annotated[
        Path,
        typer.Argument(metavar="ENCODER", help="encoder.safetensors of a run.", exists=True, dir_okay=False),
    ],
    output: Annotated[Path, typer.Option(help="Parquet file to write the vectors to.")] = Path(
        "embeddings.parquet"
    ),
    batch: Annotated[int, typer.Option(min=1, help="Batch size.")] = 64,
    device: Annotated[
        str, typer.Option(help="Device, such as cuda or cpu. Default: the GPU if there is one.")
    ] = "",
    split: Annotated[str, typer.Option(help="Only patches of this split, such as train.")] = "",
) -> None:
    """Write the embedding of every patch to a Parquet file with columns patch_id, location_id, acquired, vector.

    Example: [bold]spectralearth-build embed dataset/ run/encoder.safetensors[/bold]
    """
    need_torch()
    import torch

    from spectralearth_build.pretrain.embed import write_embeddings
    from spectralearth_build.pretrain.weights import load_encoder
    from spectralearth_build.progress import say

    where = device or ("cuda" if torch.cuda.is_available() else "cpu")
    count = write_embeddings(
        dataset, load_encoder(encoder, where), output=output, batch=batch, device=where, split=split or None
    )
    say(f"{counted(count, 'vector')} in {output}.")


def export_encoder(
    encoder: Annotated[
        Path,
        typer.Argument(metavar="ENCODER", help="encoder.safetensors of a run.", exists=True, dir_okay=False),
    ],
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="File to write: .pt2 or .onnx.")],
    edge: Annotated[int, typer.Option(min=1, help="Edge of the input images in pixels.")] = 128,
) -> None:
    """Export an encoder as a torch program (.pt2), which runs without this package, or as ONNX (.onnx).

    Both take stored values, int16 [batch, band, y, x], and contain wavelengths and statistics.

    Example: [bold]spectralearth-build export-encoder run/encoder.safetensors encoder.onnx[/bold]
    """
    need_torch()
    from spectralearth_build.files import require_writable
    from spectralearth_build.pretrain.export import export_onnx, export_program
    from spectralearth_build.pretrain.weights import load_encoder
    from spectralearth_build.signals import raise_if_stopped

    exporters = {".pt2": export_program, ".onnx": export_onnx}
    if target.suffix not in exporters:
        raise UsageError(
            f"The file name must end in {' or '.join(exporters)}.",
            target,
            "Name the file, for example, encoder.onnx.",
        )
    require_writable(target)
    loaded = load_encoder(encoder)
    raise_if_stopped()  # the export takes long and cannot be interrupted
    exporters[target.suffix](loaded, target, edge)


def line(figures: dict[str, float]) -> str:
    """Format the figures that the progress bar shows."""
    return f"loss {figures['loss']:.4f}, {figures['samples_per_s']:.1f} samples/s, waiting {figures['waiting']:.0%}"
