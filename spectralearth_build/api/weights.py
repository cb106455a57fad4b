"""Import published encoders, and export encoders for other programs. torch is imported only when it is needed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from spectralearth_build.api.entry import new, public
from spectralearth_build.api.torch import need_torch
from spectralearth_build.arguments import whole
from spectralearth_build.errors import UsageError

if TYPE_CHECKING:
    from spectralearth_build.pretrain.spectra import Spectra
    from spectralearth_build.pretrain.timm_style import TimmStyle
    from spectralearth_build.pretrain.weights import CountsEncoder

PROGRAMS = (".pt2", ".onnx")
_STATISTICS = (
    "Give --mean mu.npy --std sigma.npy, which are in data/statistics of SpectralEarth's repository, or "
    "--statistics DATASET to use those of a dataset."
)


@public
def import_encoder(
    file: str | Path,
    output: str | Path,
    *,
    mean: str | Path | None = None,
    std: str | Path | None = None,
    statistics: str | Path | None = None,
    wavelengths: str | Path | None = None,
    network: str = "",
) -> None:
    """Make an encoder file from SpectralEarth's published weights or from a checkpoint of their training.

    The same as ``spectralearth-build import-encoder``. Give either ``mean`` and ``std``, or ``statistics``. Every
    weight is matched; otherwise nothing is written, and the error names what does not match.

    Args:
        file: a state dict or a Lightning checkpoint, as a torch or safetensors file. Code in it is never run.
        output: the encoder file to write; must end in .safetensors.
        mean: .npy with the mean of each band, in stored values, such as their mu.npy.
        std: .npy with the standard deviation of each band, such as their sigma.npy.
        statistics: folder or URL of a dataset whose bands and statistics to use instead.
        wavelengths: .npy or CSV with the wavelength of each band in nm; None: the 202 bands of this package.
        network: which network of a checkpoint to take: teacher or student of DINO, query or key of MoCo; empty: the
            first of these.

    Raises:
        BuildError: torch is missing, the statistics are missing or invalid, or the file is not such an encoder.

    Examples:
        ```python
        import_encoder("vit_s_mae.pth", "vit_s_mae.safetensors", mean="mu.npy", std="sigma.npy")
        vectors = load_encoder("vit_s_mae.safetensors")(counts)
        ```
    """
    source, output = Path(file), new(output)
    if output.suffix != ".safetensors":
        raise UsageError(
            "The name must end in .safetensors.", output, "Name it, for example, encoder.safetensors."
        )
    need_torch("An encoder")
    from spectralearth_build.files import require_writable
    from spectralearth_build.pretrain.published.importing import import_weights
    from spectralearth_build.progress import say

    require_writable(output)
    made = import_weights(source, output, _spectra(source, mean, std, statistics, wavelengths), network)
    what = " ".join(filter(None, (made.about["objective"], made.about["network"], made.architecture.name)))
    say(f"Encoder: {output} ({what}, {len(made.spectra.mean)} bands).")


def _spectra(
    source: Path,
    mean: str | Path | None,
    std: str | Path | None,
    statistics: str | Path | None,
    wavelengths: str | Path | None,
) -> Spectra:
    """Return bands and statistics from what was given.

    Raises:
        UsageError: Nothing was given, or what was given does not go together.
    """
    from spectralearth_build.pretrain.published.reading import spectra_from
    from spectralearth_build.pretrain.setup import spectra_of

    if statistics is not None:
        if (mean, std, wavelengths) != (None, None, None):
            what = "--statistics goes with none of --mean, --std and --wavelengths."
            raise UsageError(what, remedy="Leave them out, or --statistics.")
        return spectra_of(statistics)
    if mean is None or std is None:
        raise UsageError("Mean and standard deviation of its input are needed.", source, _STATISTICS)
    return spectra_from(Path(mean), Path(std), None if wavelengths is None else Path(wavelengths))


@public
def export_encoder(encoder: str | Path, target: str | Path, edge: int = 128, names: str = "") -> None:
    """Export an encoder as a torch program (``.pt2``), which runs without this package, or as ONNX (``.onnx``).

    With ``names``, the weights alone are exported, for programs that build the network themselves. The same as
    ``spectralearth-build export-encoder``. Programs take stored values, int16 [batch, band, y, x], and contain
    wavelengths and statistics. Weights have their statistics beside them, as NAME.mu.npy and NAME.sigma.npy.

    Args:
        encoder: ``encoder.safetensors`` of a run.
        target: the file to write. Its suffix, .pt2 or .onnx, decides the format; with ``names`` .pth, .pt or
            .safetensors.
        edge: edge of the input images of a program in pixels.
        names: spectral_earth: names of weights as in SpectralEarth's code; timm: those of timm.

    Raises:
        BuildError: torch is missing, the target has another suffix or is an encoder of this package, or the network
            has no such names.

    Examples:
        ```python
        export_encoder("run/encoder.safetensors", "encoder.onnx")
        export_encoder("run/encoder.safetensors", "vit_s.pth", names="spectral_earth")
        ```
    """
    target = new(target)
    need_torch()
    from spectralearth_build.files import require_writable
    from spectralearth_build.pretrain.published.exporting import NAMES, SUFFIXES
    from spectralearth_build.pretrain.weights import load_encoder
    from spectralearth_build.pretrain.weights_identity import is_ours

    if names and names not in NAMES:
        raise UsageError(f"--as does not know '{names}'.", remedy=f"Type --as {' or --as '.join(NAMES)}.")
    if target.suffix not in (allowed := SUFFIXES if names else PROGRAMS):
        example = f"exported{allowed[-1]}"
        raise UsageError(
            f"The file name must end in {' or '.join(allowed)}.",
            target,
            f"Name the file, for example, {example}"
            + ("." if names else ", or give --as to export weights."),
        )
    require_writable(target)
    if target.is_file() and is_ours(target):
        raise UsageError(
            "This file is an encoder. An export in its place would lose what it says about bands and training.",
            target,
            "Choose another name.",
        )
    loaded = load_encoder(encoder)
    if names:
        _export_weights(loaded, target, names)
    else:
        _export_program(loaded, target, edge)


def _export_program(loaded: CountsEncoder, target: Path, edge: int) -> None:
    from spectralearth_build.pretrain.export import export_onnx, export_program
    from spectralearth_build.signals import raise_if_stopped

    raise_if_stopped()  # the export takes long and cannot be interrupted
    exporter = export_program if target.suffix == ".pt2" else export_onnx
    exporter(loaded, target, edge)


def _export_weights(loaded: CountsEncoder, target: Path, names: str) -> None:
    from spectralearth_build.pretrain.published.exporting import export_weights
    from spectralearth_build.progress import say

    written = export_weights(loaded, target, names)
    say(f"Weights: {written[0]}. Statistics of the input: {written[1]}, {written[2]}.")
    if loaded.encoder.pool == "mean":
        say(
            "This encoder's vector is the mean of its patch tokens. SpectralEarth's code returns the class token."
        )


@public
def timm_style(
    encoder: str | Path | CountsEncoder,
    num_classes: int = 0,
    global_pool: str | None = None,
    *,
    device: str = "cpu",
    dense: bool = False,
    stem: str = "",
) -> TimmStyle:
    """Load an encoder as a module with the interface of timm's networks. Does not need timm.

    Args:
        encoder: ``encoder.safetensors`` of a run or an import, or what `load_encoder` returned.
        num_classes: number of outputs of a new classifier; 0: none, so the output is the vector.
        global_pool: how features are pooled: token (ViTs only), avg, max or empty (not at all); None: as the encoder
            pools.
        device: device to load it to.
        dense: as for `load_encoder`.
        stem: as for `load_encoder`.

    Returns:
        A module with num_features, feature_info, forward_features, forward_head, forward_intermediates, features_only,
        get_classifier and reset_classifier. It takes stored values, int16 [batch, band, y, x].

    Raises:
        BuildError: torch is missing, the file is not an encoder, or the encoder does not pool so.

    Examples:
        ```python
        network = timm_style("run/encoder.safetensors", num_classes=10)
        scores = network(counts)  # [batch, 10]
        maps = network.features_only()(counts)  # fine to coarse
        ```
    """
    need_torch("An encoder")
    from spectralearth_build.pretrain.timm_style import TimmStyle
    from spectralearth_build.pretrain.weights import load_encoder

    loaded = load_encoder(encoder, device, dense, stem) if isinstance(encoder, str | Path) else encoder
    try:
        return TimmStyle(loaded, whole("num_classes", num_classes), global_pool)
    except ValueError as error:
        raise UsageError(str(error), remedy="Choose another global_pool.") from error
