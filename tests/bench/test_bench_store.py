from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spectralearth_build.bench.storing import store, store_report
from spectralearth_build.bench.storing.coders import LIMIT, Coder, coders
from spectralearth_build.bench.storing.sample_patches import image_patches, synthetic_land
from spectralearth_build.errors import UsageError
from spectralearth_build.store.codec import PATCH_BYTES, PRESETS, encode_patch

PAIR = sorted((Path(__file__).parents[1] / "data/hyspecnet_pair").glob("*/*SPECTRAL_IMAGE.TIF"))


@pytest.fixture(scope="module")
def land() -> list[np.ndarray]:
    return synthetic_land(2)


def test_land_is_the_same_on_every_call_and_differs_by_patch(land):
    assert np.array_equal(synthetic_land(1)[0], land[0])
    assert not np.array_equal(*land)
    assert [patch.shape for patch in land] == [(202, 128, 128)] * 2
    assert (np.stack(land) != -32768).all()


def test_less_noise_makes_bands_more_alike(land):
    def roughness(patch):
        return np.median(np.abs(np.diff(patch[100:110].astype(float), 2, axis=2)))

    assert roughness(synthetic_land(1, 0.5)[0]) < 0.7 * roughness(land[0])


def test_patches_of_an_image_are_its_bands_with_data():
    import tifffile

    cube = tifffile.imread(PAIR[0])
    cube = cube if cube.shape[0] == 224 else np.moveaxis(cube, -1, 0)
    (patch,) = image_patches(PAIR[0], 5)
    assert np.array_equal(patch, cube[(cube != -32768).any(axis=(1, 2))])


def test_images_of_other_shapes_are_refused():
    layer = next(PAIR[0].parent.glob("*QL_QUALITY_CLOUD.TIF"))
    with pytest.raises(UsageError, match="must provide int16"):
        image_patches(layer, 1)


@pytest.mark.slow
def test_every_coder_is_lossless_and_measured(land):
    chosen = [coder for coder in coders() if coder.kind != "other" or coder.name.startswith("band delta + ")]
    chosen = [coder for coder in chosen if "JPEG" not in coder.name]
    rows = store.measure({"land": land[:1]}, chosen, 2).set_index("coder")
    assert set(PRESETS) <= set(rows.index)
    assert (rows[["encode", "decode", "decode_threads"]] > 0).all(axis=None)
    expected = PATCH_BYTES / len(encode_patch(land[0], "spectral"))
    assert rows.loc["spectral", "ratio"] == pytest.approx(expected)
    assert rows.loc["spectral, blosc alone", "ratio"] == rows.loc["spectral", "ratio"]
    ratios = rows["ratio"]
    assert ratios["dense"] > ratios["spectral"] > ratios["fast"] > ratios["portable"] > 1


def test_what_loses_something_is_noticed(land):
    lossy = Coder("lossy", "other", lambda patch: (patch // 2).tobytes(), lambda data, out: None)
    with pytest.raises(AssertionError, match="lossy is not lossless"):
        store.measure({"land": land[:1]}, [lossy], 1)


def test_reference_is_the_entropy_of_noise_where_there_is_nothing_else():
    patch = np.random.default_rng(0).integers(0, 256, (202, 32, 32)).astype(np.int16)
    assert store.reference([patch], 2) == pytest.approx(2, rel=0.05)  # eight bits, hardly predicted


def test_reference_sees_through_mixtures():
    rng = np.random.default_rng(1)
    parts = rng.integers(0, 3000, (3, 64 * 64))
    patch = (rng.uniform(0, 1, (30, 3)) @ parts).astype(np.int16).reshape(30, 64, 64)
    assert store.reference([patch], 5) > 1.8 * store.reference([patch], 1)


def test_tables_and_picture_show_every_set(tmp_path):
    frame = pd.DataFrame(
        [
            (pixels, name, kind, ratio, 1.0, speed, 2 * speed)
            for pixels in ("land", "water")
            for name, kind, ratio, speed in (
                ("spectral", "preset", 2.0, 2.0),
                ("spectral, blosc alone", LIMIT, 2.0, 2.5),
                ("gzip-6", "other", 1.6, 0.2),
            )
        ],
        columns=["pixels", "coder", "kind", "ratio", "encode", "decode", "decode_threads"],
    )
    machine = {"cores": 2, "threads": 2, "memory": 10.0}
    text = "\n".join(store_report.lines(frame, {"land": 2.5, "water": 4.0}, machine))
    spectral = [line for line in text.splitlines() if line.strip().startswith("spectral  ")]
    assert len(spectral) == 2
    assert "80.0 %" in spectral[0]  # of the reference, and of blosc alone
    assert "50.0 %" in spectral[1]
    picture = store_report.draw(frame, tmp_path / "bench.png")
    assert picture.read_bytes().startswith(b"\x89PNG")
