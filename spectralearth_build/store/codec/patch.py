"""Encoding and decoding of patches without zarr, with exactly the bytes that zarr-python makes from `documents`."""

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
"""Length of the scratch memory that decoding may need besides the patch, in words."""
_SHUFFLES = {"shuffle": numcodecs.Blosc.SHUFFLE, "bitshuffle": numcodecs.Blosc.BITSHUFFLE}
_own = threading.local()

# With its own threads, blosc would use more cores than a task may, and hold the GIL. zarr-python sets the
# same.
numcodecs.blosc.use_threads = False


def encode_patch(patch: Patch, codec: str) -> bytes:
    """Encode a patch. Releases the GIL.

    Args:
        patch: int16 [202, 128, 128], in any memory layout.
        codec: name of a preset.
    """
    if patch.shape != PATCH_SHAPE or patch.dtype != np.int16:
        raise ValueError(f"A patch must be int16 {PATCH_SHAPE}, not {patch.dtype} {patch.shape}.")
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
    """Decode the output of `encode_patch`.

    Returns:
        int16 [202, 128, 128].

    Raises:
        DamagedError: The checksum or the content is wrong.
    """
    out = np.empty(PATCH_SHAPE, np.int16)
    decode_into(data, out, codec)
    return out


def decode_into(data: bytes | memoryview, out: Patch, codec: str, scratch: Words | None = None) -> None:
    """Decode the output of `encode_patch` into memory of the caller. Releases the GIL.

    Args:
        data: the encoded patch, which is not copied.
        out: C-contiguous output array, int16 [202, 128, 128]. Its content after an error is undefined.
        codec: name of a preset.
        scratch: uint16 [SCRATCH_WORDS], used only by this call meanwhile; None: memory that each thread keeps.

    Raises:
        DamagedError: The checksum or the content is wrong.
        ValueError: ``out`` has another type, shape or layout.
    """
    if out.shape != PATCH_SHAPE or out.dtype != np.int16 or not out.flags.carray:
        raise ValueError(f"The output must be C-contiguous int16 {PATCH_SHAPE}, not {out.dtype} {out.shape}.")
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
    # The blosc header gives the size of the content. Less than a patch would leave the rest of the array
    # unchanged.
    if int.from_bytes(body[4:8], "little") != out.nbytes:
        raise DamagedError("A chunk does not contain exactly one patch.")
    try:
        _blosc(codec).decode(body, out)
    except (RuntimeError, ValueError) as error:
        raise DamagedError(f"A chunk cannot be decompressed: {error}.") from error
    if sys.byteorder == "big":
        out.byteswap(inplace=True)


def _scratch() -> Words:
    """Return scratch memory of this thread. New memory for every patch would take half as long as decoding."""
    if not hasattr(_own, "words"):
        _own.words = np.empty(SCRATCH_WORDS, np.uint16)
    words: Words = _own.words
    return words


@lru_cache(maxsize=len(PRESETS))
def _blosc(codec: str) -> numcodecs.Blosc:
    preset = PRESETS[codec]
    # The type size comes from the encoded array. The argument for it is newer than our oldest numcodecs.
    return numcodecs.Blosc(preset.compressor, preset.level, _SHUFFLES[preset.shuffle], preset.block)
