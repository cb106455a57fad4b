"""Encoding of patches. Importing this package registers our codecs with zarr."""

from spectralearth_build.overlap.lattice import NODATA
from spectralearth_build.store.codec.band_delta import BAND_DELTA, BandDelta, accumulate, difference
from spectralearth_build.store.codec.band_prediction import BAND_PREDICTION, BandPrediction
from spectralearth_build.store.codec.checksum import CHECKSUM_BYTES, checksum, checksum_of, verified
from spectralearth_build.store.codec.described import described
from spectralearth_build.store.codec.patch import SCRATCH_WORDS, decode_into, decode_patch, encode_patch
from spectralearth_build.store.codec.presets import (
    PATCH_BYTES,
    PATCH_SHAPE,
    PRESETS,
    Patch,
    Preset,
    documents,
)

__all__ = [
    "BAND_DELTA",
    "BAND_PREDICTION",
    "CHECKSUM_BYTES",
    "NODATA",
    "PATCH_BYTES",
    "PATCH_SHAPE",
    "PRESETS",
    "SCRATCH_WORDS",
    "BandDelta",
    "BandPrediction",
    "Patch",
    "Preset",
    "accumulate",
    "checksum",
    "checksum_of",
    "decode_into",
    "decode_patch",
    "described",
    "difference",
    "documents",
    "encode_patch",
    "verified",
]
