"""The layout of store.zarr: Zarr v3 metadata documents and coordinate arrays, as bytes by path.

``reflectance`` [row, band, y, x] has chunks of one patch and shards of ``shard_rows`` patches. The other arrays have
one chunk each. Rows without a patch (the end of a tile's last shard, skipped patches) read as nodata and have no
coordinates (NaN, NaT, empty).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numcodecs
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spectralearth_build.archive.bands import BANDS
from spectralearth_build.archive.correction import QUANTITY
from spectralearth_build.errors import DamagedError
from spectralearth_build.layout import CHUNK_PREFIX, STORE, array_metadata
from spectralearth_build.overlap.lattice import PIXEL, WINDOW
from spectralearth_build.store.codec import NODATA, PATCH_SHAPE, checksum, described, documents, verified

SCALE = 1e-4
"""Reflectance per stored unit, from GainOfBand of the products."""
NO_TIME = -(2**63)
_ZSTD_LEVEL = 3
_AT_ONCE = 1 << 17
"""Texts that are encoded at a time."""

Document = dict[str, Any]

_CHECKSUM: Document = {"name": "crc32c"}
_LITTLE: Document = {"name": "bytes", "configuration": {"endian": "little"}}
_TEXT: Document = {"name": "vlen-utf8", "configuration": {}}
_ZSTD: Document = {"name": "zstd", "configuration": {"level": _ZSTD_LEVEL, "checksum": False}}


@dataclass(frozen=True)
class Texts:
    """Texts of which only a piece is in memory at a time."""

    count: int
    """Number of texts."""
    pieces: Callable[[], Iterable[pa.StringArray]]
    """Returns them, in pieces."""

    def __len__(self) -> int:
        return self.count


@dataclass(frozen=True)
class Coordinate:
    """A small array of the store, written as one chunk."""

    dims: tuple[str, ...]
    """Names of the dimensions."""
    values: npt.NDArray[Any] | pa.StringArray | Texts
    """The values; text is an Arrow array, or comes in pieces."""
    attributes: Mapping[str, Any]
    """Meaning, unit, and what xarray needs to decode it."""

    @property
    def is_text(self) -> bool:
        """Return whether the values are text."""
        return not isinstance(self.values, np.ndarray)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.values.shape if isinstance(self.values, np.ndarray) else (len(self.values),)


def reflectance_document(shards: int, shard_rows: int, codec: str, quantity: str = "land") -> Document:
    """Return the metadata of the array ``reflectance``.

    Args:
        shards: number of shards; the array has ``shards * shard_rows`` rows.
        shard_rows: number of rows per shard.
        codec: name of a preset of `codec.PRESETS`.
        quantity: the physical quantity of the values, from the setting scan.correction.
    """
    attributes = {
        "long_name": QUANTITY[quantity],
        "scale": SCALE,
        "offset": 0,
        "nodata": NODATA,
        "comment": "reflectance = scale * value + offset; values are stored raw and may be negative",
    }
    return sharded_document(
        shards,
        shard_rows,
        PATCH_SHAPE,
        codecs=documents(codec),
        data_type="int16",
        fill=NODATA,
        dims=("row", "band", "y", "x"),
        attributes=attributes,
    )


def sharded_document(
    shards: int,
    shard_rows: int,
    patch: tuple[int, ...],
    codecs: list[Document],
    data_type: str,
    fill: int | str,
    dims: tuple[str, ...],
    attributes: Document,
) -> Document:
    """Return the metadata of an array along the rows of the store, sharded like the pixels.

    Args:
        shards: number of shards; the array has ``shards * shard_rows`` rows.
        shard_rows: number of rows per shard.
        patch: shape of the data of one patch, which is one chunk.
        codecs: codecs of a chunk.
        data_type: data type.
        fill: value of rows that do not exist.
        dims: names of the dimensions, row first.
        attributes: attributes of the array.
    """
    sharding: Document = {
        "chunk_shape": [1, *patch],
        "codecs": codecs,
        "index_codecs": [_LITTLE, _CHECKSUM],
        "index_location": "end",
    }
    coding = [{"name": "sharding_indexed", "configuration": sharding}]
    shape, shard = (shards * shard_rows, *patch), (shard_rows, *patch)
    return _array_document(
        shape, shard, data_type=data_type, fill=fill, codecs=coding, dims=dims, attributes=attributes
    )


def plain_codecs() -> list[Document]:
    """Return the codecs of all arrays except pixels: zstd and a checksum, which every Zarr reader supports."""
    return [_LITTLE, _ZSTD, _CHECKSUM]


def encode_plain(values: npt.NDArray[Any]) -> bytes:
    """Encode a chunk of numbers with `plain_codecs`."""
    return _compressed(np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")))


def decode_plain(data: bytes, shape: tuple[int, ...], data_type: str) -> npt.NDArray[Any]:
    """Decode a chunk of numbers that was encoded with `plain_codecs`.

    Raises:
        DamagedError: Its checksum or content is wrong.
    """
    try:
        return np.frombuffer(decode_bytes(data), np.dtype(data_type).newbyteorder("<")).reshape(shape)
    except ValueError as error:
        raise DamagedError(f"A chunk cannot be decoded: {error}.") from error


def decode_bytes(data: bytes) -> bytes:
    """Return the content of a chunk that was compressed as `plain_codecs` says.

    Raises:
        DamagedError: Its checksum or content is wrong.
    """
    try:
        return bytes(numcodecs.Zstd().decode(bytes(verified(data))))
    except (RuntimeError, ValueError) as error:
        raise DamagedError(f"A chunk cannot be decoded: {error}.") from error


def coordinate_chunk(name: str, dimensions: int) -> str:
    """Return the path of the only chunk of a coordinate array below the dataset."""
    return f"{STORE}/{name}/{CHUNK_PREFIX}{'.'.join('0' * dimensions)}"


def coordinate_files(name: str, coordinate: Coordinate) -> tuple[Document, dict[str, bytes]]:
    """Return the metadata document of a coordinate array, and its files by path below the dataset."""
    values, shape, first = coordinate.values, coordinate.shape, _LITTLE
    chunk = tuple(max(1, length) for length in shape)
    plain: npt.NDArray[Any] | bytearray
    if not isinstance(values, np.ndarray):
        plain, first = encode_texts(values), _TEXT
        data_type, fill = "string", ""
    else:
        plain = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
        data_type = values.dtype.name
        fill = "NaN" if values.dtype.kind == "f" else coordinate.attributes.get("_FillValue", 0)
    codecs: list[Document] = [first, _ZSTD, _CHECKSUM]
    document = _array_document(
        shape,
        chunk,
        data_type=data_type,
        fill=fill,
        codecs=codecs,
        dims=coordinate.dims,
        attributes=dict(coordinate.attributes),
    )
    files = {array_metadata(name): metadata_bytes(document)}
    if all(shape):
        files[coordinate_chunk(name, len(shape))] = _compressed(plain)
    return document, files


def encode_texts(texts: pa.StringArray | Texts) -> bytearray:
    """Return the bytes of the codec ``vlen-utf8``: how many texts there are, then the length and bytes of each."""
    whole = bytearray(struct.pack("<I", len(texts)))
    for piece in texts.pieces() if isinstance(texts, Texts) else [texts]:
        for first in range(0, len(piece), _AT_ONCE):
            whole += _with_lengths(piece.slice(first, _AT_ONCE)).data
    return whole


def _with_lengths(texts: pa.StringArray) -> npt.NDArray[np.uint8]:
    """Return the length, in four bytes, and the bytes of each text."""
    ends = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + len(texts) + 1]
    data = np.frombuffer(texts.buffers()[2] or b"", np.uint8)[ends[0] : ends[-1]]
    lengths = np.diff(ends).astype("<u4")
    part = np.empty(len(data) + 4 * len(texts), np.uint8)
    starts = ends[:-1] - ends[0] + 4 * np.arange(len(texts))
    own = np.ones(len(part), np.bool_)
    for byte in range(4):
        part[starts + byte] = lengths.view(np.uint8)[byte::4]
        own[starts + byte] = False
    part[own] = data
    return part


def root_document(attributes: Document, arrays: Mapping[str, Document]) -> Document:
    """Return the metadata of the root group, including that of all arrays (consolidated)."""
    return {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": attributes,
        "consolidated_metadata": {
            "kind": "inline",
            "must_understand": False,
            "metadata": dict(sorted(arrays.items())),
        },
    }


def root_attributes(plan: str, codec: str, layout: int, coordinates: list[str]) -> Document:
    """Return the attributes of the root group."""
    return {
        "title": "EnMAP L2A patches",
        "plan": plan,
        "codec": codec,
        "codec_comment": described(codec),
        "crs_comment": "row r lies on the grid of UTM zone EPSG:epsg[r]; the centre of its pixel (y, x) is "
        "at easting "
        f"west[r] + {PIXEL} (x + 0.5) and northing north[r] - {PIXEL} (y + 0.5), in metres",
        "pixel_size_m": PIXEL,
        "patch_pixels": WINDOW,
        "format": layout,
        "coordinates": " ".join(sorted(coordinates)),  # so that xarray treats them as coordinates
    }


def row_coordinates(rows: int) -> dict[str, Coordinate]:
    """Return empty arrays along ``row``, to be filled in for rows with patches."""
    return {name: row_coordinate(name, rows) for name in ROW_COORDINATES}


def row_coordinate(name: str, rows: int) -> Coordinate:
    """Return one of `row_coordinates`."""
    empty, attributes = _ROWS[name]
    values = pa.array([""]).take(np.zeros(rows, np.int32)) if isinstance(empty, str) else np.full(rows, empty)
    return Coordinate(("row",), values, attributes)


_METRES = {"units": "m", "comment": "UTM, upper-left corner of the patch"}
_TIME = {
    "units": "microseconds since 1970-01-01",
    "calendar": "proleptic_gregorian",
    "_FillValue": NO_TIME,
}
_ROWS: dict[str, tuple[np.generic | str, Document]] = {
    "epsg": (np.int32(0), {"long_name": "EPSG code of the UTM zone; 0: no patch"}),
    "west": (np.float64(np.nan), {"long_name": "easting", **_METRES}),
    "north": (np.float64(np.nan), {"long_name": "northing", **_METRES}),
    "acquired": (np.int64(NO_TIME), {"long_name": "start of acquisition, UTC", **_TIME}),
    "location": ("", {"long_name": "location_id; empty: no patch"}),
    "tile_index": (np.int32(-1), {"long_name": "index along tile of the tile that gives most pixels"}),
}
ROW_COORDINATES = tuple(_ROWS)
"""Names of the arrays along ``row``."""


def band_coordinates(wavelength_nm: npt.ArrayLike, fwhm_nm: npt.ArrayLike) -> dict[str, Coordinate]:
    """Return nominal centre wavelengths and widths, float64 [202], nm."""
    wave, width = (np.asarray(v, np.float64).reshape(BANDS) for v in (wavelength_nm, fwhm_nm))
    return {
        "wavelength_nm": Coordinate(
            ("band",), wave, {"long_name": "nominal centre wavelength", "units": "nm"}
        ),
        "fwhm_nm": Coordinate(
            ("band",), width, {"long_name": "nominal full width at half maximum", "units": "nm"}
        ),
    }


def tile_coordinates(
    tile_ids: list[str], wavelength_nm: npt.ArrayLike, fwhm_nm: npt.ArrayLike
) -> dict[str, Coordinate]:
    """Return the names of tiles and their actual bands, float64 [tile, 202], nm."""
    return {
        "tile_id": tile_names(tile_ids),
        "tile_wavelength_nm": tile_bands("wavelength_nm", wavelength_nm),
        "tile_fwhm_nm": tile_bands("fwhm_nm", fwhm_nm),
    }


def tile_names(tile_ids: list[str]) -> Coordinate:
    """Return the array ``tile_id``."""
    return Coordinate(("tile",), pa.array(tile_ids, pa.string()), {"long_name": "datatake and tile number"})


def tile_bands(name: str, values: npt.ArrayLike) -> Coordinate:
    """Return the array ``tile_wavelength_nm`` or ``tile_fwhm_nm``, float64 [tile, 202]."""
    meaning = {"wavelength_nm": "actual centre wavelength", "fwhm_nm": "actual full width at half maximum"}
    table = np.asarray(values, np.float64).reshape(-1, BANDS)
    return Coordinate(("tile", "band"), table, {"long_name": meaning[name], "units": "nm"})


def metadata_bytes(document: Document) -> bytes:
    """Encode a metadata document."""
    return (json.dumps(document, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def _compressed(plain: npt.NDArray[Any] | bytes | bytearray) -> bytes:
    body = bytes(numcodecs.Zstd(_ZSTD_LEVEL).encode(plain))
    return body + checksum(body)


def _array_document(
    shape: tuple[int, ...],
    chunk: tuple[int, ...],
    data_type: str,
    fill: int | str,
    codecs: list[Document],
    dims: tuple[str, ...],
    attributes: Document,
) -> Document:
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(shape),
        "data_type": data_type,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(chunk)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
        "fill_value": fill,
        "codecs": codecs,
        "attributes": attributes,
        "dimension_names": list(dims),
        "storage_transformers": [],
    }
