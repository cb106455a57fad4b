"""Pretrain, load and apply encoders. torch is imported only when a function is called."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from spectralearth_build.api.entry import new, public
from spectralearth_build.api.torch import need_torch
from spectralearth_build.texts import counted

if TYPE_CHECKING:
    from spectralearth_build.api.entry import Settings
    from spectralearth_build.pretrain.training_config import PretrainConfig
    from spectralearth_build.pretrain.weights import CountsEncoder

REMEDY = "Run `spectralearth-build pretrain-template` to list all settings."


@public
def pretrain_encoder(
    dataset: str | Path, run: str | Path, config: PretrainConfig | Settings | str | Path | None = None
) -> Path:
    """Pretrain a spectral encoder on a dataset with MoCo-v2, DINO, MAE, SimCLR or another objective.

    The same as ``spectralearth-build pretrain``. When called again, the function continues from the newest checkpoint.

    Args:
        dataset: folder or URL of a finished dataset.
        run: folder of the run, for checkpoints, log and encoder.
        config: the settings, as a `PretrainConfig`, a dict such as ``{"objective": "mae", "encoder.name": "vit_b"}``,
            or the path of a TOML file.

    Returns:
        Path of the encoder, ``encoder.safetensors``.

    Raises:
        BuildError: torch is missing, or the settings differ from those of the run.
        StoppedError: A signal arrived. A checkpoint was saved.

    Examples:
        ```python
        file = pretrain_encoder("dataset", "run", {"objective": "mae", "encoder.name": "vit_b"})
        encoder = load_encoder(file)
        ```
    """
    from spectralearth_build.pretrain.training_config import PretrainConfig
    from spectralearth_build.settings import read

    if not isinstance(config, PretrainConfig):
        given = isinstance(config, Mapping)
        file = Path(config) if isinstance(config, str | Path) else None
        config = read(PretrainConfig, file, config if given else {}, REMEDY)  # type: ignore[arg-type]
    need_torch()
    from spectralearth_build.pretrain.processes import together

    with together():
        return _train(dataset, new(run), config)


def _train(dataset: str | Path, folder: Path, config: PretrainConfig) -> Path:
    from spectralearth_build.pretrain.loss_picture import draw_log
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
    return encoder


def line(figures: dict[str, float]) -> str:
    """Format the figures that the progress bar shows."""
    return f"loss {figures['loss']:.4f}, {figures['samples_per_s']:.1f} samples/s, waiting {figures['waiting']:.0%}"


@public
def load_encoder(path: str | Path, device: str = "cpu", dense: bool = False, stem: str = "") -> CountsEncoder:
    """Load an encoder in evaluation mode, as a torch module that takes counts as they are stored.

    Args:
        path: ``encoder.safetensors`` of a run or of `import_encoder`, or SpectralEarth's weights with mu.npy and
            sigma.npy beside them.
        device: device to load it to.
        dense: for ResNets, whether to replace all strides by dilation, so that maps have the size of the image. The
            weights are the same.
        stem: for ResNets, "full" removes the stride of the first stage, so the total stride is 8 instead of 16. The
            weights are the same.

    Returns:
        A module that maps int16 [batch, band, y, x] to float32 [batch, dim]. Its method ``features`` returns the last
        map, and ``pyramid`` the maps of all levels.

    Raises:
        BuildError: torch is missing, or the file is not an encoder of this package.

    Examples:
        ```python
        encoder = load_encoder("run/encoder.safetensors")
        for batch in Loader("dataset", batch_size=8):
            vectors = encoder(batch["pixels"])  # float32 [batch, dim]
        ```
    """
    need_torch("An encoder")
    from spectralearth_build.pretrain.weights import load_encoder as load

    return load(path, device, dense, stem)


@public
def embed_patches(
    dataset: str | Path,
    encoder: str | Path,
    output: str | Path = "embeddings.parquet",
    *,
    batch: int = 64,
    device: str = "",
    split: str | None = None,
) -> int:
    """Write the embedding of every patch to a Parquet file. The same as ``spectralearth-build embed``.

    Its columns are patch_id, location_id, acquired and vector.

    Args:
        dataset: folder or URL of a finished dataset.
        encoder: ``encoder.safetensors`` of a run.
        output: the file to write.
        batch: batch size.
        device: device, such as cuda or cpu; empty: cuda if available.
        split: only patches of this split, such as train.

    Returns:
        The number of vectors written.

    Raises:
        BuildError: torch is missing, or encoder and dataset have different bands.

    Examples:
        ```python
        embed_patches("dataset", "run/encoder.safetensors", "vectors.parquet", split="test")
        ```
    """
    need_torch()
    import torch

    from spectralearth_build.pretrain.embed import write_embeddings
    from spectralearth_build.pretrain.weights import load_encoder
    from spectralearth_build.progress import say

    where = device or ("cuda" if torch.cuda.is_available() else "cpu")
    count = write_embeddings(dataset, load_encoder(encoder, where), new(output), batch, where, split or None)
    say(f"{counted(count, 'vector')} in {output}.")
    return count
