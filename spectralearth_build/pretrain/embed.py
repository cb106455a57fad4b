"""Embeddings of all patches of a dataset."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from spectralearth_build.dataset.access import open_dataset
from spectralearth_build.errors import NothingFoundError, UsageError
from spectralearth_build.files import replacing
from spectralearth_build.loader import Loader
from spectralearth_build.pretrain.setup import spectra_of
from spectralearth_build.pretrain.weights import CountsEncoder
from spectralearth_build.progress import track
from spectralearth_build.storage.url import is_url

_ABOUT = b"spectralearth_build"
Vectors = npt.NDArray[np.float32]


def embed(
    dataset: str | Path,
    encoder: CountsEncoder,
    batch: int = 64,
    device: str = "cpu",
    split: str | None = None,
) -> Iterator[tuple[npt.NDArray[np.int64], Vectors]]:
    """Encode all patches of a dataset.

    The input is standardised with the statistics stored in the encoder, not those of the dataset.

    Args:
        dataset: folder or URL of the dataset.
        encoder: an encoder of `weights.load_encoder`.
        batch: batch size.
        device: device to run on.
        split: use only patches of this split.

    Yields:
        Row labels in ``dataset.patches``, int64 [batch], and the vectors, float32 [batch, dim].

    Raises:
        WavelengthError: Data and encoder have different bands.
    """
    encoder.spectra.check(spectra_of(dataset), str(dataset))
    encoder = encoder.to(device).eval()
    for part in Loader(dataset, batch, shuffle=False, split=split):
        counts = part["pixels"].to(device)
        with torch.inference_mode(), torch.autocast(counts.device.type, torch.bfloat16, counts.is_cuda):
            vectors = encoder(counts)
        yield part["index"].numpy(), vectors.float().cpu().numpy()


def write_embeddings(
    dataset: str | Path,
    encoder: CountsEncoder,
    output: Path,
    batch: int = 64,
    device: str = "cpu",
    split: str | None = None,
) -> int:
    """Write the embeddings of a dataset as Parquet: patch_id, location_id, acquired and vector [dim].

    The arguments are those of `embed`. Returns the number of vectors. The file appears only when it is complete. It
    records its dataset, split and encoder, and is not overwritten with embeddings of others.

    Raises:
        UsageError: The file exists and belongs to something else.
        NothingFoundError: No patch belongs to the split.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    patches = open_dataset(dataset).query(split=split)
    if not len(patches):
        raise NothingFoundError(
            "There are no patches to embed.", dataset, "Give another --split, or leave it out."
        )
    about = _about(dataset, encoder, split)
    if output.exists() and (others := _differences(output, about)):
        remedy = "Give another file with --output, or delete this one."
        raise UsageError(f"The file already exists and belongs to {others}.", output, remedy)
    known = pa.Table.from_pandas(patches[["patch_id", "location_id", "acquired"]], preserve_index=False)
    place = {int(label): i for i, label in enumerate(patches.index)}
    schema = known.schema.with_metadata({_ABOUT: json.dumps(about)}).append(
        pa.field("vector", pa.list_(pa.float32(), encoder.dim))
    )
    count = 0
    with replacing(output) as temporary, pq.ParquetWriter(temporary, schema) as writer:
        for index, vectors in track(
            embed(dataset, encoder, batch, device, split), "embed", -(-len(patches) // batch)
        ):
            rows = known.take([place[int(label)] for label in index])
            flat = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), encoder.dim)
            writer.write_table(rows.append_column("vector", flat).cast(schema))
            count += len(index)
    return count


def _about(dataset: str | Path, encoder: CountsEncoder, split: str | None) -> dict[str, str]:
    """Describe the origin of embeddings. The encoder is identified by a hash of its tensors."""
    digest = hashlib.sha256()
    for name, value in sorted(encoder.state_dict().items()):
        digest.update(
            name.encode() + value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        )
    place = str(dataset) if is_url(str(dataset)) else str(Path(dataset).resolve())
    return {"dataset": place, "split": split or "", "encoder": digest.hexdigest()[:16]}


def _differences(output: Path, about: dict[str, str]) -> str:
    """Describe how the origin of an existing file differs; empty if it is the same."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        before = json.loads((pq.read_schema(output).metadata or {})[_ABOUT])
        other = [f"{name} {before.get(name)!r}" for name in about if before.get(name) != about[name]]
    except (OSError, pa.ArrowException, KeyError, ValueError):
        return "something else"
    return ", ".join(other)
