"""An encoder from a file of SpectralEarth's weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spectralearth_build.pretrain.encoders import Architecture, Encoder
from spectralearth_build.pretrain.published.conversion import architecture_from, to_encoder
from spectralearth_build.pretrain.published.layouts import network_in
from spectralearth_build.pretrain.published.statistics import read_statistics, read_wavelengths
from spectralearth_build.pretrain.published.weights_file import tensors_in
from spectralearth_build.pretrain.spectra import Spectra


@dataclass(frozen=True)
class Published:
    """A published encoder, with what its file here needs."""

    encoder: Encoder
    """The network with its weights, on the CPU."""
    architecture: Architecture
    spectra: Spectra
    """Bands and statistics of its input."""
    about: dict[str, Any]
    """What is known of it: objective and network."""


def read_published(path: Path, spectra: Spectra, network: str = "") -> Published:
    """Read an encoder from SpectralEarth's weights or from a checkpoint of their training.

    Args:
        path: a torch or safetensors file.
        spectra: bands and statistics of its input, which such files lack.
        network: which network of a checkpoint: teacher (default) or student of DINO, query (default) or key of MoCo.

    Raises:
        UsageError: It is another file, or a weight is missing, unknown or of another shape.
        OSError: The file cannot be read.
    """
    objective, chosen, tensors = network_in(tensors_in(path), network, path)
    architecture = architecture_from(tensors, len(spectra.mean), path)
    encoder = to_encoder(tensors, architecture, path).eval()
    return Published(encoder, architecture, spectra, {"objective": objective, "network": chosen})


def spectra_from(mean: Path, std: Path, wavelengths: Path | None = None) -> Spectra:
    """Return bands and statistics from files.

    Args:
        mean: .npy of the mean of each band, in stored values.
        std: .npy of their standard deviations.
        wavelengths: .npy or CSV of wavelengths in nm; None: those of the 202 bands of this package.

    Raises:
        UsageError: A file is invalid, or they do not have the same number of bands.
        OSError: A file cannot be read.
    """
    means, stds = read_statistics(mean, std)
    return Spectra(read_wavelengths(wavelengths, len(means)), tuple(means.tolist()), tuple(stds.tolist()))
