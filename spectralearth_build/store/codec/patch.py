"""Patches to bytes and back, without zarr: exactly the bytes that zarr-python makes with a preset's `documents`."""

from __future__ import annotations

import sys
import threading
from functools import lru_cache

import numcodecs
import numcodecs.blosc
import numpy as np
import numpy.typing as npt

from spectralearth_build.errors import DamagedError
from spectralearth_build.store.codec.band_delta import BandDelta, accumulate, difference
from spectralearth_build.store.codec.band_prediction import BandPrediction, Words, pack, unpack, words_needed
from spectralearth_build.store.codec.checksum import checksum, verified
from spectralearth_build.store.codec.presets import PATCH_SHAPE, PRESETS, Patch

SCRATCH_WORDS = max(
    words_needed(PATCH_SHAPE, p.bands.bands) for p in PRESETS.values() if isinstance(p.bands, BandPrediction)
)
"""Length of the memory that decoding may need beside the patch."""
_SHUFFLES = {"shuffle": numcodecs.Blosc.SHUFFLE, "bitshuffle": numcodecs.Blosc.BITSHUFFLE}
_own = threading.local()

# With its own threads blosc would use more cores than a task may, and hold the GIL; zarr-python sets the same.
numcodecs.blosc.use_threads = False


def encode_patch(patch: Patch, codec: str) -> bytes:
    """Encode a patch; other threads run meanwhile.

    Args:
        patch: int16 [202, 128, 128], of any layout.
        codec: name of a preset.
    """
    if patch.shape != PATCH_SHAPE or patch.dtype != np.int16:
        raise ValueError(f"A patch is int16 {PATCH_SHAPE}, not {patch.dtype} {patch.shape}.")
    along = PRESETS[codec].bands
    plain: npt.NDArray[np.int16 | np.uint16] = np.ascontiguousarray(patch)
    if isinstance(along, BandPrediction):
        words = _scratch()[: words_needed(PATCH_SHAPE, along.bands)]
        pack(plain.view(np.int16), along.bands, words)
        plain = words
    elif isinstance(along, BandDelta):
        plain = difference(plain, 0, along.zigzag)
    body = _blosc(codec).encode(plain.astype(plain.dtype.newbyteorder("<"), copy=False))
    return b"".join((body, checksum(body)))


def decode_patch(data: bytes | memoryview, codec: str) -> Patch:
    """Decode what `encode_patch` made.

    Returns:
        int16 [202, 128, 128].

    Raises:
        DamagedError: the checksum or the content is wrong.
    """
    out = np.empty(PATCH_SHAPE, np.int16)
    decode_into(data, out, codec)
    return out


def decode_into(data: bytes | memoryview, out: Patch, codec: str, scratch: Words | None = None) -> None:
    """Decode what `encode_patch` made into memory of the caller's; other threads run meanwhile.

    Args:
        data: the encoded patch, not copied.
        out: int16 [202, 128, 128], C-contiguous; what it holds after an error is undefined.
        codec: name of a preset.
        scratch: uint16 [SCRATCH_WORDS], for nobody else meanwhile; None: memory that each thread keeps.

    Raises:
        DamagedError: the checksum or the content is wrong.
        ValueError: ``out`` is of another type, shape or layout.
    """
    if out.shape != PATCH_SHAPE or out.dtype != np.int16 or not out.flags.carray:
        raise ValueError(
            f"A patch is decoded into C-contiguous int16 {PATCH_SHAPE}, not {out.dtype} {out.shape}."
        )
    body, along = verified(data), PRESETS[codec].bands
    if isinstance(along, BandPrediction):
        words = (_scratch() if scratch is None else scratch)[: words_needed(PATCH_SHAPE, along.bands)]
        _decompress(body, words, codec)
        unpack(words, along.bands, out)
        return
    _decompress(body, out, codec)
    if isinstance(along, BandDelta):
        accumulate(out, 0, along.zigzag)


def _decompress(body: memoryview, out: npt.NDArray[np.int16 | np.uint16], codec: str) -> None:
    # Blosc's header says how much it holds; less than a patch would leave the rest of the array as it is.
    if int.from_bytes(body[4:8], "little") != out.nbytes:
        raise DamagedError("A chunk does not hold one patch.")
    try:
        _blosc(codec).decode(body, out)
    except (RuntimeError, ValueError) as error:
        raise DamagedError(f"A chunk cannot be decompressed: {error}.") from error
    if sys.byteorder == "big":
        out.byteswap(inplace=True)


def _scratch() -> Words:
    """Memory of this thread: fresh memory for every patch would cost as much as half of the decoding."""
    if not hasattr(_own, "words"):
        _own.words = np.empty(SCRATCH_WORDS, np.uint16)
    words: Words = _own.words
    return words


@lru_cache(maxsize=len(PRESETS))
def _blosc(codec: str) -> numcodecs.Blosc:
    preset = PRESETS[codec]
    # The type size comes from the array that is encoded; the argument for it is newer than our oldest numcodecs.
    return numcodecs.Blosc(preset.compressor, preset.level, _SHUFFLES[preset.shuffle], preset.block)
