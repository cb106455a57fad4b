"""Least-squares prediction as a Zarr v3 array-to-bytes codec, whose output is then compressed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
from zarr.abc.codec import ArrayBytesCodec
from zarr.registry import register_codec

from spectralearth_build.store.codec.prediction import (
    GROUP,
    LANES,
    Coefficients,
    Cube,
    Residual,
    predict,
    restore,
)

if TYPE_CHECKING:
    from zarr.core.array_spec import ArraySpec
    from zarr.core.buffer import Buffer, NDBuffer
    from zarr.core.common import JSON

BAND_PREDICTION = "spectralearth.band_prediction"
Words = npt.NDArray[np.uint16]
"""The data to compress: the coefficients int16 [band, K + 2], zeros up to a multiple of 16 bytes (blosc shuffles bits
only of such), then the residuals uint16 [band, line, 128]."""
_WHOLE = 8
"""The coefficients are padded to a multiple of this many words."""


def head_words(count: int, bands: int) -> int:
    """Return the number of words before the residuals, for ``count`` bands, each predicted from ``bands``."""
    return -(-count * (bands + 2) // _WHOLE) * _WHOLE


def words_needed(shape: tuple[int, ...], bands: int) -> int:
    """Return the packed length of a cube [band, line, 128] that is predicted from ``bands`` bands."""
    return head_words(shape[0], bands) + math.prod(shape)


def pack(cube: Cube, bands: int, words: Words) -> None:
    """Write coefficients and residuals of a cube into ``words``; see `prediction`."""
    words[: head_words(len(cube), bands)] = 0
    predict(cube, *_parts(words, cube.shape, bands))


def unpack(words: Words, bands: int, out: Cube) -> None:
    """Undo `pack`, and write the cube into ``out``."""
    restore(*_parts(words, out.shape, bands), out)


def _parts(words: Words, shape: tuple[int, ...], bands: int) -> tuple[Coefficients, Residual]:
    coefficients = words[: shape[0] * (bands + 2)].view(np.int16).reshape(-1, bands + 2)
    return coefficients, words[head_words(shape[0], bands) :].reshape(shape)


@dataclass(frozen=True)
class BandPrediction(ArrayBytesCodec):
    """Zarr v3 codec: residuals of a prediction of each band from previous bands.

    Metadata: ``{"name": "spectralearth.band_prediction", "configuration": {"bands": 4}}``. A chunk is one int16 cube
    [..., band, line, 128]. The bytes are little-endian `Words`.
    """

    is_fixed_size = True

    bands: int = GROUP
    """Number of bands from which each band is predicted, a multiple of 4."""

    @classmethod
    def from_dict(cls, data: dict[str, JSON]) -> Self:
        """Make the codec from its metadata.

        Raises:
            ValueError: The name or the configuration is wrong.
        """
        configuration = data.get("configuration", {})
        if (
            data.get("name") != BAND_PREDICTION
            or not isinstance(configuration, dict)
            or set(configuration) != {"bands"}
        ):
            raise ValueError(f"Not the metadata of {BAND_PREDICTION}: {data}.")
        bands = configuration["bands"]
        if not isinstance(bands, int) or bands < GROUP or bands % GROUP:
            raise ValueError(f"{BAND_PREDICTION} needs bands that are a multiple of {GROUP}, not {bands!r}.")
        return cls(bands)

    def to_dict(self) -> dict[str, JSON]:
        """Return the metadata of the codec."""
        return {"name": BAND_PREDICTION, "configuration": {"bands": self.bands}}

    def validate(self, *, shape: tuple[int, ...], dtype: Any, chunk_grid: Any) -> None:  # noqa: ANN401
        """Refuse arrays that it cannot encode.

        Raises:
            ValueError: The array has too few axes, or its type is not a 16-bit integer.
        """
        native = np.dtype(dtype.to_native_dtype())
        if len(shape) < 3 or native != np.int16:
            raise ValueError(f"{BAND_PREDICTION} encodes int16 [band, line, {LANES}], not {native} {shape}.")

    def _encode_sync(self, chunk_array: NDBuffer, chunk_spec: ArraySpec) -> Buffer:
        cube = np.ascontiguousarray(chunk_array.as_numpy_array(), np.int16).reshape(_shape(chunk_spec))
        words = np.empty(words_needed(cube.shape, self.bands), np.uint16)
        pack(cube, self.bands, words)
        little = words.astype("<u2", copy=False).view(np.uint8)
        return chunk_spec.prototype.buffer.from_array_like(little)

    def _decode_sync(self, chunk_bytes: Buffer, chunk_spec: ArraySpec) -> NDBuffer:
        words = np.frombuffer(chunk_bytes.as_numpy_array(), "<u2").astype(np.uint16, copy=False)
        out = np.empty(_shape(chunk_spec), np.int16)
        if len(words) != words_needed(out.shape, self.bands):
            raise ValueError(f"{BAND_PREDICTION} got {words.nbytes} bytes for a chunk of {chunk_spec.shape}.")
        unpack(words, self.bands, out)
        return chunk_spec.prototype.nd_buffer.from_numpy_array(out.reshape(chunk_spec.shape))

    async def _encode_single(self, chunk_array: NDBuffer, chunk_spec: ArraySpec) -> Buffer:
        return self._encode_sync(chunk_array, chunk_spec)

    async def _decode_single(self, chunk_bytes: Buffer, chunk_spec: ArraySpec) -> NDBuffer:
        return self._decode_sync(chunk_bytes, chunk_spec)

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:
        """Return the size of the values and the coefficients."""
        return input_byte_length + 2 * head_words(chunk_spec.shape[-3], self.bands)


def _shape(chunk_spec: ArraySpec) -> tuple[int, ...]:
    """Return the shape [band, line, 128] of a chunk.

    Raises:
        ValueError: The chunk is more than one cube, or its lines have another length.
    """
    shape = chunk_spec.shape
    if math.prod(shape[:-3]) != 1 or shape[-1] != LANES:
        raise ValueError(f"{BAND_PREDICTION} encodes chunks [1, band, line, {LANES}], not {shape}.")
    return shape[-3:]


register_codec(BAND_PREDICTION, BandPrediction)
