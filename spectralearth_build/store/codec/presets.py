"""The presets of the setting ``store.codec``, and their Zarr metadata."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from spectralearth_build.archive.bands import BANDS
from spectralearth_build.overlap.lattice import WINDOW
from spectralearth_build.store.codec.band_delta import BandDelta
from spectralearth_build.store.codec.band_prediction import BandPrediction

Patch = npt.NDArray[np.int16]
"""int16 [band, line, col], [202, 128, 128] in a dataset."""

PATCH_SHAPE = (BANDS, WINDOW, WINDOW)
PATCH_BYTES = 2 * BANDS * WINDOW * WINDOW


@dataclass(frozen=True)
class Preset:
    """The codecs behind a value of the setting ``store.codec``."""

    bands: BandDelta | BandPrediction | None
    """Transform along the bands."""
    compressor: Literal["zstd", "lz4"]
    """Inner compressor of blosc."""
    level: int
    """Compression level."""
    shuffle: Literal["bitshuffle", "shuffle"] = "bitshuffle"
    """Whether bits or bytes of equal significance are grouped."""
    block: int = 1 << 20
    """Block size of blosc in bytes."""


PRESETS = {
    "spectral": Preset(BandPrediction(4), "lz4", 9, block=1 << 18),
    "fast": Preset(BandDelta(1), "lz4", 5, block=1 << 18),
    "portable": Preset(None, "zstd", 3),
    "dense": Preset(BandPrediction(16), "zstd", 1, "shuffle", block=1 << 19),
}


def documents(codec: str) -> list[dict[str, Any]]:
    """Return the Zarr v3 metadata of a preset's codecs, in order of encoding."""
    preset = PRESETS[codec]
    blosc = {"typesize": 2, "cname": preset.compressor, "clevel": preset.level, "shuffle": preset.shuffle}
    plain = {"name": "bytes", "configuration": {"endian": "little"}}
    return [
        *([preset.bands.to_dict()] if preset.bands else []),
        *([] if isinstance(preset.bands, BandPrediction) else [plain]),
        {"name": "blosc", "configuration": {**blosc, "blocksize": preset.block}},
        {"name": "crc32c"},
    ]
