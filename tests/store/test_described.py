"""Chunks decoded by who has only read the store's attributes: no code of ours, only numcodecs and numpy."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import google_crc32c
import numcodecs
import numpy as np
import pytest

from spectralearth_build.store.codec import BAND_DELTA, BAND_PREDICTION, PRESETS, described, encode_patch
from spectralearth_build.store.schema import root_attributes
from tests.support.store_pixels import land, noise, pair


def stranger(comment: str, chunk: bytes) -> np.ndarray:
    """int16 [202, 128, 128], as the words of the comment have it."""
    assert google_crc32c.value(chunk[:-4]) == int.from_bytes(chunk[-4:], "little")
    words = np.frombuffer(numcodecs.Blosc().decode(chunk[:-4]), "<u2")
    if "spectralearth" not in comment:
        return words.view("<i2").reshape(202, 128, 128)
    r = words[-202 * 128 * 128 :].reshape(202, 128, 128).astype(int)
    z = np.where(r % 2 == 0, r >> 1, -(r >> 1) - 1).astype(np.int16)
    if BAND_DELTA in comment:
        return np.cumsum(z, axis=0, dtype=np.int16)
    row = int(comment.split("int16 [band 202, ")[-1].split("]")[0])
    head = words[: 202 * row].view(np.int16).reshape(202, row)
    value = np.zeros((202, 128, 128), np.int16)
    for band in range(202):
        w, (n, o) = head[band, :-2, None], head[band, -2:]
        error = np.zeros(128, np.int16)
        for line in range(128):
            error = z[band, line] + times(n, error)
            before = value[max(0, band - len(w)) : band, line][::-1]
            near = before[0] if band else np.int16(0)
            value[band, line] = error + o + near + times(w[: len(before)], before).sum(axis=0, dtype=np.int16)
    return value


def times(c: np.ndarray, v: np.ndarray) -> np.ndarray:
    return ((c.astype(np.int32) * (v + v).astype(np.int32)) >> 16).astype(np.int16)


@pytest.mark.parametrize(
    ("codec", "cube"),
    [
        *((codec, cube) for codec in ("fast", "portable") for cube in (land(), pair()[1], noise(9))),
        ("spectral", noise(9)),
        ("dense", pair()[1]),
    ],
)
def test_the_attributes_suffice_to_decode(codec, cube):
    comment = json.loads(json.dumps(root_attributes("plan", codec, 1, [])))["codec_comment"]
    assert np.array_equal(stranger(comment, encode_patch(cube, codec)), cube)


def test_each_preset_is_described_by_its_own_codec():
    named = {
        codec: [name for name in (BAND_DELTA, BAND_PREDICTION) if name in described(codec)]
        for codec in PRESETS
    }
    assert named == {
        "spectral": [BAND_PREDICTION], "dense": [BAND_PREDICTION], "fast": [BAND_DELTA], "portable": []
    }  # fmt: skip


@pytest.mark.slow
def test_the_decoder_of_the_page_decodes():
    page = (Path(__file__).parents[2] / "docs/dataset-format.md").read_text()
    code = next(part for part in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "def decoded" in part)
    found: dict[str, Any] = {}
    exec(code, found)
    cube = noise(10)
    assert np.array_equal(found["decoded"](encode_patch(cube, "spectral"), 4), cube)
    assert np.array_equal(found["decoded"](encode_patch(pair()[0], "dense"), 16), pair()[0])
