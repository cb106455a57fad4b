"""Hugging Face ``datasets``: Parquet files with an ``Array3D`` column, and a card that assigns files to splits.

The Parquet metadata describes features and image type as ``Dataset.to_parquet`` of datasets 5 does, so writing does not
need that package. Images are delta-encoded before zstd, which makes them smaller and faster to read than with the
default encoding of Parquet.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from spectralearth_build.export.format import Contents, Cube, OneFile, compact
from spectralearth_build.export.selection import FRACTIONS, ExportPart, Selection
from spectralearth_build.files import replacing

GROUP = 8
"""Number of patches per row group, which a reader keeps in memory at a time."""
_DOUBLES = pa.list_(pa.float64())
_TYPES: dict[str, Any] = {
    **dict.fromkeys(("patch_id", "location_id", "tile_id", "datatake"), pa.string()),
    "acquired": pa.string(),  # not a timestamp: the torch format of datasets cannot convert one
    **dict.fromkeys(("acquired_us", "epsg", "west", "north"), pa.int64()),
    **{f"{kind}_fraction": pa.float64() for kind in FRACTIONS},
    "resampled": pa.bool_(),
    **dict.fromkeys(("wavelength_nm", "fwhm_nm"), _DOUBLES),
}
"""Columns besides the image."""
_NAMES = {pa.float64(): "float64"}
_LEAF = "image.list.element.list.element.list.element"


class HuggingFace(OneFile):
    """``data/<split>-<number>-of-<count>.parquet`` and README.md."""

    pattern = "data/{part.split}-{part.number:05d}-of-{part.of:05d}.parquet"
    per_file = 64
    most_per_file = 4096
    raw = False
    layout = 2

    def write(self, selection: Selection, part: ExportPart, cubes: Iterator[Cube], folder: Path) -> None:
        """Write one Parquet file, a few patches at a time."""
        indices = iter(range(part.start, part.stop))
        first = table(selection, [next(indices)], [next(cubes)])
        with (
            replacing(folder / self.name(part)) as temporary,
            pq.ParquetWriter(
                temporary,
                first.schema,
                compression="zstd",
                use_dictionary=False,
                column_encoding={_LEAF: "DELTA_BINARY_PACKED"},
            ) as writer,
        ):
            writer.write_table(first)
            while some := list(islice(cubes, GROUP)):
                writer.write_table(table(selection, list(islice(indices, len(some))), some))

    def indices(self, contents: Contents) -> dict[str, bytes]:
        """Return the dataset card."""
        return {"README.md": card(contents).encode()}


def table(selection: Selection, indices: list[int], cubes: list[Cube]) -> pa.Table:
    """Return patches as a table whose metadata describes the features."""
    rows = [selection.plain(index) | {"acquired_us": selection.microseconds(index)} for index in indices]
    columns = {name: pa.array([row[name] for row in rows], kind) for name, kind in _TYPES.items()}
    images, shape = _nested(np.stack(cubes)), cubes[0].shape
    extension = {
        "ARROW:extension:name": "datasets.features.features.Array3DExtensionType",
        "ARROW:extension:metadata": json.dumps([shape, "int16"]),
    }
    schema = pa.schema(
        [pa.field("image", images.type, metadata=extension), *_TYPES.items()],
        metadata={"huggingface": compact({"info": {"features": features(shape)}}).decode()},
    )
    return pa.table([images, *columns.values()], schema=schema)


def features(shape: tuple[int, ...]) -> dict[str, Any]:
    """Return the columns in the format of ``datasets.Features.to_dict``."""
    found: dict[str, Any] = {"image": {"shape": list(shape), "dtype": "int16", "_type": "Array3D"}}
    for name, kind in _TYPES.items():
        inner = kind.value_type if kind == _DOUBLES else kind
        value = {"dtype": _NAMES.get(inner, str(inner)), "_type": "Value"}
        found[name] = {"feature": value, "_type": "Sequence"} if kind == _DOUBLES else value
    return found


def _nested(cubes: np.ndarray[Any, np.dtype[np.int16]]) -> pa.Array:
    """Convert arrays [patch, band, y, x] to nested lists, without a copy."""
    found = pa.array(cubes.reshape(-1))
    for axis in (3, 2, 1):
        count = int(np.prod(cubes.shape[:axis]))
        offsets = pa.array(np.arange(count + 1, dtype=np.int32) * cubes.shape[axis])
        found = pa.ListArray.from_arrays(offsets, found)
    return found


def card(contents: Contents) -> str:
    """Return README.md: the files of each split, then a short description."""
    bands, height, width = contents.shape
    listed = "".join(f"  - split: {split}\n    path: data/{split}-*.parquet\n" for split in contents.splits())
    return f"""---
configs:
- config_name: default
  data_files:
{listed}license: other
license_name: enmap-data-license
tags:
- hyperspectral
- EnMAP
- remote-sensing
---

# EnMAP L2A patches

{len(contents.selection):,} patches of {contents.selection.frame["location_id"].nunique():,} locations, int16
[{bands}, {height}, {width}] (band, y, x); reflectance = 0.0001 x value. `wavelength_nm` and `fwhm_nm` are those of the
very tile. `acquired` is the moment in UTC as text, `acquired_us` the same in microseconds since 1970. Pixels are 30 m
wide on the grid of zone `EPSG:epsg`, their upper-left corner at (`west`, `north`).

The EnMAP Data License does not allow passing products on freely: keep this dataset private.

Made by spectralearth-build from plan {contents.plan}.
"""
