"""LitData: chunks for ``litdata.StreamingDataset``, with one folder per split.

Writing does not need the litdata package, which depends on torch and torchvision. A chunk contains the number of
samples, the offsets of all samples and of the end (little-endian uint32), then the samples. A sample contains the sizes
of its leaves (uint32), then the leaves. The format is that of litdata 0.2 (``streaming/writer.py`` and
``serializers.py``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spectralearth_build.export.format import Contents, Cube, OneFile, compact
from spectralearth_build.export.selection import ExportPart, Selection
from spectralearth_build.files import replacing

_INT16 = 1
"""Index of the type in litdata's table of types."""
_LEAF: dict[str, Any] = {"type": None, "context": None, "children_spec": []}


class LitData(OneFile):
    """Samples ``{"image": int16 [band, y, x], "metadata": JSON text}``."""

    pattern = "{part.split}/chunk-0-{part.number}.bin"
    per_file = 16
    most_per_file = 512  # offsets inside a chunk are uint32
    raw = True

    def write(self, selection: Selection, part: ExportPart, cubes: Iterator[Cube], folder: Path) -> None:
        """Write one chunk, patch by patch."""
        texts = [compact(selection.plain(index)) for index in range(part.start, part.stop)]
        with replacing(folder / self.name(part)) as temporary, temporary.open("wb") as file:
            first = next(cubes)
            file.write(header([leaf_bytes(first.shape) + len(text) for text in texts]))
            file.write(sample(first, texts[0]))
            for cube, text in zip(cubes, texts[1:], strict=True):
                file.write(sample(cube, text))

    def indices(self, contents: Contents) -> dict[str, bytes]:
        """Return index.json of each split, which litdata requires."""
        return {
            f"{split}/index.json": index(
                [(contents.files[self.name(p)], Path(self.name(p)).name, len(p)) for p in parts]
            )
            for split, parts in contents.splits().items()
        }


def leaf_bytes(shape: Sequence[int]) -> int:
    """Return the size of an int16 array as a leaf."""
    return 4 * (2 + len(shape)) + 2 * int(np.prod(shape))


def header(leaves: Sequence[int]) -> bytes:
    """Return the header of a chunk.

    Args:
        leaves: sizes in bytes of the two leaves of each sample.
    """
    sizes = np.array([4 * (len(leaves) + 2), *(8 + size for size in leaves)], np.uint64)
    return np.array([len(leaves), *np.cumsum(sizes)], "<u4").tobytes()


def sample(cube: Cube, text: bytes) -> bytes:
    """Return a sample: the sizes of its leaves, the array with its type and shape, the text."""
    sizes = np.array([leaf_bytes(cube.shape), len(text)], "<u4")
    described = np.array([_INT16, cube.ndim, *cube.shape], "<u4")
    return b"".join([sizes.tobytes(), described.tobytes(), cube.astype("<i2", copy=False).tobytes(), text])


def index(chunks: Sequence[tuple[Mapping[str, Any], str, int]]) -> bytes:
    """index.json.

    Args:
        chunks: size (``bytes``) and hash, name, and number of samples of each chunk.
    """
    listed = [
        {"chunk_bytes": entry["bytes"], "chunk_size": samples, "dim": None, "filename": name}
        for entry, name, samples in chunks
    ]
    spec = {"type": "builtins.dict", "context": '["image", "metadata"]', "children_spec": [_LEAF, _LEAF]}
    config = {
        "chunk_bytes": None,
        "chunk_size": max(samples for _, _, samples in chunks),
        "compression": None,
        "data_format": ["numpy", "str"],
        "data_spec": compact([1, spec]).decode(),
        "encryption": None,
        "item_loader": "PyTreeLoader",
    }
    # litdata expects a time here, and discards its cache if the value changes. A hash of the content serves
    # the same purpose.
    stamp = hashlib.sha256("".join(entry["sha256"] for entry, _, _ in chunks).encode()).hexdigest()[:16]
    return compact({"chunks": listed, "config": config, "updated_at": stamp})
