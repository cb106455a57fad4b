"""Descriptions of the presets for the attributes of the store, sufficient to decode a chunk without this package."""

from __future__ import annotations

from spectralearth_build.store.codec.band_delta import BAND_DELTA, BandDelta
from spectralearth_build.store.codec.band_prediction import BAND_PREDICTION, BandPrediction
from spectralearth_build.store.codec.presets import PRESETS

_CHUNK = "A chunk is one patch, int16 [band 202, line 128, column 128]. Its last 4 bytes are the crc32c of the others, "
_OTHERS = "little-endian; the others are one blosc buffer. "
_ZIGZAG = "Let z(r) = r >> 1 for even r and -(r >> 1) - 1 for odd r. "
_PLAIN = "Decompressed, it is the values, little-endian."
_DELTA = (
    f"{BAND_DELTA}: decompressed, it is r, uint16 little-endian of the patch's shape. "
    + _ZIGZAG
    + "Band b of the patch is the sum of z(r) over bands 0 to b, modulo 2^16."
)
_PREDICTION = (
    "{name}: decompressed, it is little-endian 16-bit words: first, int16 [band 202, {row}], for each band "
    "its weights "
    "w[0..{last}], north n and offset o; then zeros up to a multiple of 16 bytes; then r, uint16 of the "
    "patch's shape. "
    + _ZIGZAG
    + "Everything is computed modulo 2^16 in int16; let times(c, v) = (c * int16(2 v)) >> 16, the product "
    "in 32 bits. "
    "Band by band, line by line: error[line] = z(r[line]) + times(n, error[line - 1]), zero before the "
    "first line; "
    "value[band] = error + o + value[band - 1] + sum over k of times(w[k], value[band - 1 - k]), where "
    "values before "
    "band 0 are zero."
)


def described(codec: str) -> str:
    """Return a description of how to decode a chunk of a preset."""
    bands = PRESETS[codec].bands
    if isinstance(bands, BandPrediction):
        words = _PREDICTION.format(name=BAND_PREDICTION, row=bands.bands + 2, last=bands.bands - 1)
    else:
        words = _DELTA if isinstance(bands, BandDelta) else _PLAIN
    return _CHUNK + _OTHERS + words
