"""Array metadata of a store: the location and encoding of patches."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spectralearth_build.errors import DamagedError
from spectralearth_build.store.codec import NODATA, PATCH_SHAPE, PRESETS, documents


@dataclass(frozen=True)
class ArrayLayout:
    """The layout of a patch array [row, band, y, x]."""

    rows: int
    """Number of rows."""
    shape: tuple[int, int, int]
    """Shape of one patch: band, y, x."""
    shard_rows: int
    """Rows per shard; 0 if ``codec`` is None."""
    codec: str | None
    """Preset that the shards are encoded with; None: another encoding, which zarr-python must read."""
    pattern: str = ""
    """File name of a shard, with ``{}`` for its number."""


def layout_of(document: Mapping[str, Any], where: str) -> ArrayLayout:
    """Read the ``zarr.json`` of an array.

    Args:
        document: the parsed file.
        where: path of the file, for messages.

    Raises:
        DamagedError: It is not the metadata of int16 patches [row, band, y, x].
    """
    try:
        rows, *shape = (int(length) for length in document["shape"])
        kind, chunk = document["data_type"], document["chunk_grid"]["configuration"]["chunk_shape"]
        bands, height, width = shape
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedError("Not the metadata of an array [row, band, y, x].", where) from error
    if kind != "int16":
        raise DamagedError(f"Patches must be int16, got {kind}.", where)
    codec = _preset(document)
    if codec is None:
        return ArrayLayout(rows, (bands, height, width), 0, None)
    keys = document["chunk_key_encoding"]
    separator = keys.get("configuration", {}).get("separator", "/")
    return ArrayLayout(
        rows, (bands, height, width), int(chunk[0]), codec, separator.join(["c", "{}", "0", "0", "0"])
    )


def _preset(document: Mapping[str, Any]) -> str | None:
    """Return the preset of an array's shards; None if it differs in any way that matters to a reader."""
    expected = {
        "chunk_shape": [1, *PATCH_SHAPE],
        "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}],
        "index_location": "end",
    }
    chunk = document["chunk_grid"]["configuration"]["chunk_shape"]
    if (
        document.get("fill_value") != NODATA
        or document.get("chunk_key_encoding", {}).get("name") != "default"
        or document.get("storage_transformers")
        or list(chunk[1:]) != list(PATCH_SHAPE)
        or math.prod(document["shape"][1:]) != math.prod(PATCH_SHAPE)
        or [codec.get("name") for codec in document["codecs"]] != ["sharding_indexed"]
    ):
        return None
    sharding = dict(document["codecs"][0]["configuration"])
    codecs = sharding.pop("codecs", None)
    sharding.setdefault("index_location", "end")
    if _plain(sharding) != _plain(expected):
        return None
    return next((name for name in PRESETS if _plain(documents(name)) == _plain(codecs)), None)


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Return metadata without empty configurations, which writers may add or leave out."""
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items() if not (key == "configuration" and not part)}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value
