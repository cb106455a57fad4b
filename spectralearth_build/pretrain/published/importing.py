"""Import of published weights into an encoder file of this package."""

from __future__ import annotations

from pathlib import Path

from spectralearth_build.errors import UsageError
from spectralearth_build.pretrain.published.reading import Published, read_published
from spectralearth_build.pretrain.spectra import Spectra
from spectralearth_build.pretrain.weights import header_of, save_encoder
from spectralearth_build.pretrain.weights_identity import digest_of, is_ours


def import_weights(path: Path, output: Path, spectra: Spectra, network: str = "") -> Published:
    """Write an encoder file from published weights. An existing file is replaced only by the same encoder.

    Args:
        path: a torch or safetensors file of SpectralEarth's weights.
        output: file to write.
        spectra: bands and statistics of the input.
        network: see `read_published`.

    Raises:
        UsageError: The weights cannot be used, or ``output`` is something else. Nothing was written.
        OSError: A file cannot be read.
    """
    if is_ours(path):
        raise UsageError("This is an encoder of this package already.", path, "Use it as it is.")
    found = read_published(path, spectra, network)
    about = found.about | {"imported": {"file": path.name, "sha256": digest_of(path)}}
    _refuse_other(output, about, spectra)
    save_encoder(output, found.encoder, found.architecture, spectra, about)
    return found


def _refuse_other(output: Path, about: dict[str, object], spectra: Spectra) -> None:
    """Refuse to replace a file unless it is an earlier import of the same.

    Raises:
        UsageError: It is something else.
    """
    if not output.exists():
        return
    remedy = "Give another name, or delete this file."
    try:
        header = header_of(output)
    except UsageError:
        raise UsageError("The file already exists and is something else.", output, remedy) from None
    if header["about"] != about or Spectra.from_json(header["spectra"]) != spectra:
        raise UsageError("The file already exists and is another encoder.", output, remedy)
