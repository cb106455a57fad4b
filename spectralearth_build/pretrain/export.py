"""Export of an encoder as ONNX, or as a torch program that runs without this package.

program = torch.export.load("encoder.pt2").module()
vectors = program(counts)  # int16 [batch, band, y, x] as stored
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch

from spectralearth_build.errors import UsageError
from spectralearth_build.files import replacing
from spectralearth_build.overlap.lattice import WINDOW
from spectralearth_build.pretrain.weights import CountsEncoder
from spectralearth_build.texts import install

EDGE = WINDOW


def export_program(encoder: CountsEncoder, path: Path, edge: int = EDGE) -> None:
    """Write a torch program for images of ``edge`` pixels and any batch size. Bands and scale are in its extra files.

    Args:
        encoder: the encoder, in evaluation mode.
        path: file to write; must end in .pt2.
        edge: edge of the images in pixels.
    """
    program = torch.export.export(encoder, (_example(encoder, edge),), dynamic_shapes=(_shapes(),))
    with replacing(path) as temporary:
        # torch requires this suffix
        named = temporary.with_suffix(".pt2")
        torch.export.save(program, named, extra_files={"spectra.json": encoder.spectra.to_json()})
        named.replace(temporary)


def export_onnx(encoder: CountsEncoder, path: Path, edge: int = EDGE) -> None:
    """Write ONNX: input ``counts``, int16 [batch, band, y, x]; output ``vectors``, float32 [batch, dim].

    Args:
        encoder: the encoder, in evaluation mode.
        path: file to write; must end in .onnx. Bands and scale are in the metadata, as ``spectra``.
        edge: edge of the images in pixels.

    Raises:
        UsageError: onnx or onnxscript is not installed.
    """
    for needed in ("onnx", "onnxscript"):
        if importlib.util.find_spec(needed) is None:
            raise UsageError(f"ONNX export requires {needed}.", remedy=install("onnx"))
    program = torch.onnx.export(
        encoder,
        (_example(encoder, edge),),
        dynamo=True,
        input_names=["counts"],
        output_names=["vectors"],
        dynamic_shapes=(_shapes(),),
        verbose=False,
    )
    assert program is not None
    program.model.metadata_props["spectra"] = encoder.spectra.to_json()
    with replacing(path) as temporary:
        program.save(temporary)


def _example(encoder: CountsEncoder, edge: int) -> torch.Tensor:
    device = next(encoder.parameters()).device
    return torch.zeros(2, len(encoder.spectra.mean), edge, edge, dtype=torch.int16, device=device)


def _shapes() -> dict[int, object]:
    return {0: torch.export.Dim("batch", min=1, max=4096)}
