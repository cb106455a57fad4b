"""How one patch becomes bytes and back: band delta, blosc, crc32c.

The difference of neighbouring bands compresses far better than the bands themselves, because their noise and texture
are alike. numcodecs' own delta runs along the flattened array, so a codec of a few lines does it here. The bytes
are exactly those that zarr-python makes with the codecs of `documents`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, Self

import google_crc32c
import numcodecs
import numcodecs.blosc
import numpy as np
import numpy.typing as npt
from zarr.abc.codec import ArrayArrayCodec
from zarr.registry import register_codec

from spectralearth_build.archive.bands import BANDS
from spectralearth_build.errors import DamagedError
from spectralearth_build.overlap.lattice import WINDOW

if TYPE_CHECKING:
    from zarr.core.array_spec import ArraySpec
    from zarr.core.buffer import NDBuffer
    from zarr.core.common import JSON

Patch = npt.NDArray[np.int16]
"""int16 [band, line, col], [202, 128, 128] in a dataset."""

PATCH_SHAPE = (BANDS, WINDOW, WINDOW)
PATCH_BYTES = 2 * BANDS * WINDOW * WINDOW
NODATA = -32768
CHECKSUM_BYTES = 4
BAND_DELTA = "spectralearth.band_delta"

# With its own threads blosc would use more cores than a task may; zarr-python sets the same.
numcodecs.blosc.use_threads = False


@dataclass(frozen=True)
class Preset:
    """What a value of the setting ``store.codec`` stands for."""

    delta: bool
    """Whether bands are stored as the difference to the band before."""
    compressor: Literal["zstd", "lz4"]
    """Blosc's inner compressor."""
    level: int
    """Its level."""
    block: int = 1 << 20
    """Bytes blosc compresses at a time; 1 MiB gives the best ratio at no cost in speed."""


PRESETS = {
    "spectral": Preset(True, "zstd", 3),
    "fast": Preset(True, "lz4", 5),
    "portable": Preset(False, "zstd", 3),
}


def difference(array: npt.NDArray[Any], axis: int) -> npt.NDArray[Any]:
    """Each slice along ``axis`` less the one before, modulo 2^16; the first as it is."""
    moved = np.moveaxis(array, axis, 0)
    result = np.empty_like(array)
    out = np.moveaxis(result, axis, 0)
    out[:1] = moved[:1]
    np.subtract(moved[1:], moved[:-1], out=out[1:])
    return result


def accumulate(array: npt.NDArray[Any], axis: int) -> None:
    """Undo `difference` in place."""
    moved = np.moveaxis(array, axis, 0)
    for index in range(1, len(moved)):
        moved[index] += moved[index - 1]


@dataclass(frozen=True)
class BandDelta(ArrayArrayCodec):
    """Zarr v3 codec: difference to the previous index along one axis, modulo 2^16.

    Metadata: ``{"name": "spectralearth.band_delta", "configuration": {"axis": 1}}``. Shape and type stay; only
    16-bit integers are accepted.
    """

    is_fixed_size = True

    axis: int = 1
    """Axis of the chunk along which differences are taken."""

    @classmethod
    def from_dict(cls, data: dict[str, JSON]) -> Self:
        """Make the codec that a metadata document names.

        Raises:
            ValueError: another name, or a configuration other than an axis.
        """
        configuration = data.get("configuration", {})
        if (
            data.get("name") != BAND_DELTA
            or not isinstance(configuration, dict)
            or set(configuration) - {"axis"}
        ):
            raise ValueError(f"Not the metadata of {BAND_DELTA}: {data}.")
        axis = configuration.get("axis", 1)
        if not isinstance(axis, int) or axis < 0:
            raise ValueError(f"{BAND_DELTA} needs an axis of 0 or more, not {axis!r}.")
        return cls(axis)

    def to_dict(self) -> dict[str, JSON]:
        """The codec's metadata."""
        return {"name": BAND_DELTA, "configuration": {"axis": self.axis}}

    def validate(self, *, shape: tuple[int, ...], dtype: Any, chunk_grid: Any) -> None:  # noqa: ANN401
        """Refuse arrays it cannot code.

        Raises:
            ValueError: too few axes, or not 16-bit integers.
        """
        native = np.dtype(dtype.to_native_dtype())
        if self.axis >= len(shape) or native.kind not in "iu" or native.itemsize != 2:
            raise ValueError(
                f"{BAND_DELTA} codes 16-bit integers along axis {self.axis}, not {native} {shape}."
            )

    def _encode_sync(self, chunk_array: NDBuffer, chunk_spec: ArraySpec) -> NDBuffer:
        array = np.ascontiguousarray(chunk_array.as_numpy_array())
        return chunk_spec.prototype.nd_buffer.from_numpy_array(difference(array, self.axis))

    def _decode_sync(self, chunk_array: NDBuffer, chunk_spec: ArraySpec) -> NDBuffer:
        array = np.array(chunk_array.as_numpy_array(), order="C")  # a copy: the input may be read-only
        accumulate(array, self.axis)
        return chunk_spec.prototype.nd_buffer.from_numpy_array(array)

    async def _encode_single(self, chunk_array: NDBuffer, chunk_spec: ArraySpec) -> NDBuffer:
        return self._encode_sync(chunk_array, chunk_spec)

    async def _decode_single(self, chunk_array: NDBuffer, chunk_spec: ArraySpec) -> NDBuffer:
        return self._decode_sync(chunk_array, chunk_spec)

    def compute_encoded_size(self, input_byte_length: int, _chunk_spec: ArraySpec) -> int:
        """As many bytes as before."""
        return input_byte_length


register_codec(BAND_DELTA, BandDelta)


def documents(codec: str) -> list[dict[str, Any]]:
    """Zarr v3 metadata of a preset's codecs, in order of encoding."""
    preset = PRESETS[codec]
    blosc = {"typesize": 2, "cname": preset.compressor, "clevel": preset.level, "shuffle": "bitshuffle"}
    return [
        *([BandDelta(1).to_dict()] if preset.delta else []),
        {"name": "bytes", "configuration": {"endian": "little"}},
        {"name": "blosc", "configuration": {**blosc, "blocksize": preset.block}},
        {"name": "crc32c"},
    ]


def encode_patch(patch: Patch, codec: str) -> bytes:
    """Encode a patch.

    Args:
        patch: int16 [202, 128, 128].
        codec: name of a preset.
    """
    if patch.shape != PATCH_SHAPE or patch.dtype != np.int16:
        raise ValueError(f"A patch is int16 {PATCH_SHAPE}, not {patch.dtype} {patch.shape}.")
    plain = np.ascontiguousarray(patch, dtype="<i2")
    body = _blosc(codec).encode(difference(plain, 0) if PRESETS[codec].delta else plain)
    return bytes(body) + checksum(body)


def decode_patch(data: bytes | memoryview, codec: str) -> Patch:
    """Decode what `encode_patch` made.

    Returns:
        int16 [202, 128, 128].

    Raises:
        DamagedError: the checksum or the content is wrong.
    """
    body = verified(data)
    # Blosc's header says how much it holds; less than a patch would leave the rest of the array as it is.
    if int.from_bytes(body[4:8], "little") != PATCH_BYTES:
        raise DamagedError("A chunk does not hold one patch.")
    out = np.empty(PATCH_SHAPE, dtype="<i2")
    try:
        _blosc(codec).decode(body, out)
    except (RuntimeError, ValueError) as error:
        raise DamagedError(f"A chunk cannot be decompressed: {error}.") from error
    if PRESETS[codec].delta:
        accumulate(out, 0)
    return out.astype(np.int16, copy=False)


def checksum(data: bytes | memoryview) -> bytes:
    """crc32c, little-endian, as zarr's codec of that name appends it."""
    return int(google_crc32c.value(bytes(data))).to_bytes(CHECKSUM_BYTES, "little")


def verified(data: bytes | memoryview) -> memoryview:
    """``data`` without the checksum at its end.

    Raises:
        DamagedError: the checksum does not match.
    """
    body, found = memoryview(data)[:-CHECKSUM_BYTES], bytes(data[-CHECKSUM_BYTES:])
    if len(data) <= CHECKSUM_BYTES or checksum(body) != found:
        raise DamagedError(f"A checksum (crc32c) of {len(data)} bytes does not match.")
    return body


@lru_cache(maxsize=len(PRESETS))
def _blosc(codec: str) -> numcodecs.Blosc:
    preset = PRESETS[codec]
    # The type size comes from the array that is encoded; the argument for it is newer than our oldest numcodecs.
    return numcodecs.Blosc(preset.compressor, preset.level, numcodecs.Blosc.BITSHUFFLE, preset.block)
