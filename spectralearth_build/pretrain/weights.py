"""A trained encoder as one file: safetensors, with everything needed to use it in the header.

from spectralearth_build.pretrain.weights import load_encoder

encoder = load_encoder("encoder.safetensors")
vectors = encoder(counts)  # int16 [batch, band, y, x] as stored, to float32 [batch, dim]
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from spectralearth_build.errors import UsageError
from spectralearth_build.files import replacing
from spectralearth_build.pretrain.encoders import Architecture, Encoder, build
from spectralearth_build.pretrain.published.reading import read_published, spectra_from
from spectralearth_build.pretrain.published.statistics import beside
from spectralearth_build.pretrain.spectra import Spectra, Standardise
from spectralearth_build.pretrain.weights_identity import FORMAT, REMEDY, is_ours, require_statistics


class CountsEncoder(nn.Module):
    """An encoder that takes stored values as input.

    Args:
        encoder: an encoder of standardised values.
        spectra: bands and statistics of the input.
    """

    def __init__(self, encoder: Encoder, spectra: Spectra) -> None:
        super().__init__()
        self.spectra = spectra
        self.standardise = Standardise(spectra)
        self.encoder = encoder
        self.dim, self.stride, self.levels = encoder.dim, encoder.stride, encoder.levels

    def features(self, counts: Tensor) -> Tensor:
        """Map int16 [batch, band, y, x] to feature maps [batch, dim, y / stride, x / stride]."""
        return self.encoder.features(self.standardise(counts))

    def pyramid(self, counts: Tensor) -> list[Tensor]:
        """Map int16 [batch, band, y, x] to feature maps of all ``levels`` (channels, stride), fine to coarse."""
        return self.encoder.pyramid(self.standardise(counts))

    def forward(self, counts: Tensor) -> Tensor:
        """Map int16 [batch, band, y, x] to vectors [batch, dim]."""
        out: Tensor = self.encoder(self.standardise(counts))
        return out


def save_encoder(
    path: Path, encoder: Encoder, architecture: Architecture, spectra: Spectra, about: dict[str, Any]
) -> None:
    """Write an encoder to a file.

    Args:
        path: file to write.
        encoder: the network.
        architecture: what it was made of.
        spectra: bands and statistics of the input.
        about: further information, such as objective, steps and dataset.
    """
    header = {"encoder": architecture.document(), "spectra": spectra.to_json(), "about": about}
    tensors = {name: value.detach().cpu().contiguous() for name, value in encoder.state_dict().items()}
    with replacing(path) as temporary:
        # Only one entry: safetensors writes several in random order, so the bytes of the file would differ
        # between runs.
        save_file(tensors, temporary, {FORMAT: json.dumps(header, sort_keys=True)})


def load_encoder(path: str | Path, device: str = "cpu", dense: bool = False, stem: str = "") -> CountsEncoder:
    """Load an encoder, in evaluation mode.

    Args:
        path: a file written by `save_encoder`, or a file of SpectralEarth's weights with its statistics beside it.
        device: device to load it to.
        dense: for ResNets: use dilation instead of stride, for segmentation.
        stem: for ResNets: "full" for a first stage without stride.

    Raises:
        UsageError: The file is damaged or no encoder of this package.
    """
    header, tensors = _read(path, device)
    encoder = build(Architecture.from_document(header["encoder"]), dense, stem)
    encoder.load_state_dict(tensors)
    return CountsEncoder(encoder, Spectra.from_json(header["spectra"])).to(device).eval()


def architecture_of(path: str | Path) -> Architecture:
    """What the encoder in a file was made of.

    Raises:
        UsageError: As for `load_encoder`.
    """
    return Architecture.from_document(_read(path, None)[0]["encoder"])


def seen_by(path: str | Path) -> dict[str, Any] | None:
    """Return the document of `seen.SeenPatches` of the encoder in a file; None if the file has none.

    Raises:
        UsageError: As for `load_encoder`.
    """
    about: dict[str, Any] = _read(path, None)[0]["about"]
    return about.get("seen")


def header_of(path: str | Path) -> dict[str, Any]:
    """Return what a file of `save_encoder` says of its encoder: ``encoder``, ``spectra`` (JSON) and ``about``.

    Raises:
        UsageError: The file is damaged or no encoder of this package.
    """
    return _read_ours(path, None)[0]


def _read(path: str | Path, device: str | None) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read the header of a file and, if a device is given, its tensors. Published weights are converted."""
    try:
        found = None if is_ours(Path(path)) else beside(Path(path))
        if found is None:
            require_statistics(Path(path))
            return _read_ours(path, device)
        published = read_published(Path(path), spectra_from(*found))
    except OSError as error:
        raise UsageError(f"The encoder cannot be read: {error}.", path, REMEDY) from error
    header = {
        "encoder": published.architecture.document(),
        "spectra": published.spectra.to_json(),
        "about": published.about,
    }
    return header, published.encoder.state_dict()


def _read_ours(path: str | Path, device: str | None) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        with safe_open(path, "pt", device or "cpu") as file:
            header = file.metadata() or {}
            if FORMAT not in header:
                raise UsageError("Not an encoder of this package.", path, REMEDY)
            names = file.keys() if device else ()
            return json.loads(header[FORMAT]), {name: file.get_tensor(name) for name in names}
    except (OSError, SafetensorError) as error:
        raise UsageError(f"The encoder cannot be read: {error}.", path, REMEDY) from error
