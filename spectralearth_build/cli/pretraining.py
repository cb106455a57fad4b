"""Commands that make, apply, import and export encoders. They import torch only when they run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
    """Pretrain a spectral encoder on a dataset with MoCo-v2, DINO, MAE, SimCLR or another objective.

    If the dataset has splits, only patches of train are used; for all, type [bold]--set data.split=[/bold]. The same
    command continues from the newest checkpoint. SIGTERM saves a checkpoint and exits with 75. To train in several
    processes: [bold]torchrun --nproc-per-node 4 -m spectralearth_build pretrain ...[/bold], or
    [bold]srun --ntasks 4 spectralearth-build pretrain ...[/bold] in a job of Slurm.

    Example: [bold]spectralearth-build pretrain dataset/ run/ --set objective=mae --set encoder.name=vit_b[/bold]

    Next: [bold]embed[/bold] a dataset with run/encoder.safetensors, or load the encoder in Python.
    """
    from spectralearth_build.api.training import REMEDY, pretrain_encoder
    from spectralearth_build.pretrain.training_config import PretrainConfig
    from spectralearth_build.settings import read

    settings = read(PretrainConfig, config, setting or [], REMEDY)
    pretrain_encoder(dataset, run, settings)


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
    from spectralearth_build.api.training import embed_patches

    embed_patches(dataset, encoder, output, batch=batch, device=device, split=split or None)


def import_encoder(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="SpectralEarth's weights, or a checkpoint of their training.",
            exists=True,
            dir_okay=False,
        ),
    ],
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="Encoder to write, .safetensors.", dir_okay=False)
    ],
    mean: Annotated[
        Path | None,
        typer.Option(help="Mean of each band (.npy): mu.npy of SpectralEarth.", exists=True, dir_okay=False),
    ] = None,
    std: Annotated[
        Path | None,
        typer.Option(
            help="Standard deviation of each band (.npy): sigma.npy of SpectralEarth.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    statistics: Annotated[
        str, typer.Option(metavar="DATASET", help="Dataset whose bands and statistics to use instead.")
    ] = "",
    wavelengths: Annotated[
        Path | None,
        typer.Option(
            help="Wavelength of each band in nm (.npy, or .csv with a column wavelength_nm). Default: the 202 bands of "
            "this package.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    network: Annotated[
        str,
        typer.Option(
            help="Network of a checkpoint: teacher (default) or student of DINO, query (default) or key of MoCo."
        ),
    ] = "",
) -> None:
    """Make an encoder from SpectralEarth's published weights (.pth, .ckpt or .safetensors).

    The network is read from the shapes of the weights. Each weight must match; otherwise nothing is written, and the
    message names what is missing or unknown. Code in the file is never run.

    Example: [bold]spectralearth-build import-encoder vit_s_mae.pth vit_s_mae.safetensors --mean mu.npy --std
    sigma.npy[/bold]

    Next: [bold]evaluate[/bold] or [bold]embed[/bold] a dataset with OUT.
    """
    from spectralearth_build.api import weights

    given = {"mean": mean, "std": std, "statistics": statistics or None, "wavelengths": wavelengths}
    weights.import_encoder(file, out, network=network, **given)


def export_encoder(
    encoder: Annotated[
        Path,
        typer.Argument(metavar="ENCODER", help="encoder.safetensors of a run.", exists=True, dir_okay=False),
    ],
    target: Annotated[
        Path,
        typer.Argument(
            metavar="TARGET", help="File to write: .pt2 or .onnx; with --as: .pth, .pt or .safetensors."
        ),
    ],
    edge: Annotated[
        int, typer.Option(min=1, help="Edge of the input images in pixels, for .pt2 and .onnx.")
    ] = 128,
    names: Annotated[
        str, typer.Option("--as", help="Export only the weights, under the names of spectral_earth or timm.")
    ] = "",
) -> None:
    """Export an encoder as a torch program (.pt2), which runs without this package, or as ONNX (.onnx).

    Both take stored values, int16 [batch, band, y, x], and contain wavelengths and statistics. With --as, only the
    weights are exported, for programs that build the network themselves: SpectralEarth's code loads them.

    Examples: [bold]spectralearth-build export-encoder run/encoder.safetensors encoder.onnx[/bold];
    [bold]spectralearth-build export-encoder run/encoder.safetensors vit_s.pth --as spectral_earth[/bold]
    """
    from spectralearth_build.api import weights

    weights.export_encoder(encoder, target, edge, names)
