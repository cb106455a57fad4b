"""Differences of neighbouring bands, as functions and as a Zarr v3 codec.

Bands compress far better as differences, because their noise and texture are similar. The delta filter of numcodecs
works along the flattened array, so this is a small codec of our own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
from zarr.abc.codec import ArrayArrayCodec
from zarr.registry import register_codec

from spectralearth_build.kernels import kernel
from spectralearth_build.store.codec.zigzag import unzigzag
from spectralearth_build.store.codec.zigzag import zigzag as zigzagged

if TYPE_CHECKING:
    from zarr.core.array_spec import ArraySpec
    from zarr.core.buffer import NDBuffer
    from zarr.core.common import JSON

BAND_DELTA = "spectralearth.band_delta"
Slices = npt.NDArray[np.int16]


def difference(array: npt.NDArray[Any], axis: int, zigzag: bool = False) -> npt.NDArray[Any]:
    """Subtract from each slice along ``axis`` the previous one, modulo 2^16. The first slice is unchanged.

    Args:
        array: 16-bit integers of any shape and memory layout.
        axis: axis of the differences.
        zigzag: whether to map differences 0, -1, 1, -2 to 0, 1, 2, 3.

    Returns:
        An array of the same shape and type, C-contiguous.
    """
    plain = np.ascontiguousarray(array, array.dtype.newbyteorder("="))
    result = np.empty_like(plain)
    if plain.size:
        _difference(_slices(plain, axis), _slices(result, axis), zigzag)
    return result


def accumulate(array: npt.NDArray[Any], axis: int, zigzag: bool = False) -> None:
    """Undo `difference` in place.

    Args:
        array: C-contiguous 16-bit integers in native byte order.
        axis: axis of the differences.
        zigzag: as in `difference`.
    """
    if array.size:
        (_accumulate_zigzag if zigzag else _accumulate)(_slices(array, axis))


def _slices(array: npt.NDArray[Any], axis: int) -> Slices:
    """View as int16 [outer, n, inner]."""
    return array.view(np.int16).reshape(math.prod(array.shape[:axis]), array.shape[axis], -1)


@kernel
def _difference(values: Slices, out: Slices, zigzag: bool) -> None:
    for outer in range(values.shape[0]):
        out[outer, 0] = values[outer, 0]
        for index in range(1, values.shape[1]):
            for inner in range(values.shape[2]):
                out[outer, index, inner] = values[outer, index, inner] - values[outer, index - 1, inner]
        if zigzag:
            for index in range(values.shape[1]):
                for inner in range(values.shape[2]):
                    out[outer, index, inner] = zigzagged(out[outer, index, inner])


@kernel
def _accumulate(values: Slices) -> None:
    """Accumulate in place, as fast as copying, because the previous slice is still in the cache."""
    for outer in range(values.shape[0]):
        for index in range(1, values.shape[1]):
            for inner in range(values.shape[2]):
                values[outer, index, inner] += values[outer, index - 1, inner]


@kernel
def _accumulate_zigzag(values: Slices) -> None:
    for outer in range(values.shape[0]):
        for inner in range(values.shape[2]):
            values[outer, 0, inner] = unzigzag(np.uint16(values[outer, 0, inner]))
        for index in range(1, values.shape[1]):
            for inner in range(values.shape[2]):
                step = unzigzag(np.uint16(values[outer, index, inner]))
                values[outer, index, inner] = step + values[outer, index - 1, inner]


@dataclass(frozen=True)
class BandDelta(ArrayArrayCodec):
    """Zarr v3 codec: difference to the previous index along one axis, modulo 2^16.

    Metadata: ``{"name": "spectralearth.band_delta", "configuration": {"axis": 1, "zigzag": true}}``. Shape and type are
    kept. Only 16-bit integers are accepted.
    """

    is_fixed_size = True

    axis: int = 1
    """Axis of the chunk along which to take differences."""
    zigzag: bool = True
    """Whether differences 0, -1, 1, -2 are stored as 0, 1, 2, 3, which compresses better; false if absent."""

    @classmethod
    def from_dict(cls, data: dict[str, JSON]) -> Self:
        """Make the codec from its metadata.

        Raises:
            ValueError: The name or the configuration is wrong.
        """
        configuration = data.get("configuration", {})
        if (
            data.get("name") != BAND_DELTA
            or not isinstance(configuration, dict)
            or set(configuration) - {"axis", "zigzag"}
        ):
            raise ValueError(f"Not the metadata of {BAND_DELTA}: {data}.")
        axis = configuration.get("axis", 1)
        if not isinstance(axis, int) or axis < 0:
            raise ValueError(f"{BAND_DELTA} needs an axis of 0 or more, not {axis!r}.")
        return cls(axis, bool(configuration.get("zigzag", False)))

    def to_dict(self) -> dict[str, JSON]:
        """Return the metadata of the codec."""
        return {"name": BAND_DELTA, "configuration": {"axis": self.axis, "zigzag": self.zigzag}}

    def validate(self, *, shape: tuple[int, ...], dtype: Any, chunk_grid: Any) -> None:  # noqa: ANN401
        """Refuse arrays that it cannot encode.

        Raises:
            ValueError: The array has too few axes, or its type is not a 16-bit integer.
        """
        native = np.dtype(dtype.to_native_dtype())
        if self.axis >= len(shape) or native.kind not in "iu" or native.itemsize != 2:
            raise ValueError(
                f"{BAND_DELTA} encodes 16-bit integers along axis {self.axis}, not {native} {shape}."
            )

    def _encode_sync(self, chunk_array: NDBuffer, chunk_spec: ArraySpec) -> NDBuffer:
        array = chunk_array.as_numpy_array()
        return chunk_spec.prototype.nd_buffer.from_numpy_array(difference(array, self.axis, self.zigzag))

    def _decode_sync(self, chunk_array: NDBuffer, chunk_spec: ArraySpec) -> NDBuffer:
        stored = chunk_array.as_numpy_array()
        # a copy, since the input may be read-only
        array = np.array(stored, stored.dtype.newbyteorder("="), order="C")
        accumulate(array, self.axis, self.zigzag)
        return chunk_spec.prototype.nd_buffer.from_numpy_array(array)

    async def _encode_single(self, chunk_array: NDBuffer, chunk_spec: ArraySpec) -> NDBuffer:
        return self._encode_sync(chunk_array, chunk_spec)

    async def _decode_single(self, chunk_array: NDBuffer, chunk_spec: ArraySpec) -> NDBuffer:
        return self._decode_sync(chunk_array, chunk_spec)

    def compute_encoded_size(self, input_byte_length: int, _chunk_spec: ArraySpec) -> int:
        """Return the input size, which does not change."""
        return input_byte_length


register_codec(BAND_DELTA, BandDelta)
