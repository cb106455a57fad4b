"""`bench cut` on a small tile: what it counts is true, and it can be shown."""

import numpy as np
import pytest
import rasterio
from matplotlib.image import imread

from spectralearth_build.bench.cutting import cut as module
from spectralearth_build.bench.cutting import cut_cases, cut_report
from spectralearth_build.bench.cutting.cut_cases import TileData, cases, image_case
from spectralearth_build.cutting.cut_tile import cut_tile
from spectralearth_build.errors import UsageError
from spectralearth_build.layout import shard_path
from spectralearth_build.overlap.lattice import Box
from spectralearth_build.store.codec import decode_patch
from spectralearth_build.store.shard import ShardReader
from spectralearth_build.synthetic.spec import ProductSpec

pytestmark = pytest.mark.slow

CHOSEN = ("strips of 3 lines, none", "blocks of 512, zstd, predictor 2")


@pytest.fixture(scope="module")
def tile():
    """Full width, few lines; noise in the low bits, so that it compresses about as real pixels do."""
    spec = ProductSpec(box=Box(-210703, 15569, 140, 700))
    noise = np.random.default_rng(0).integers(0, 60, (224, 140, 700), np.int16)
    cube = noise + (10 * np.arange(224, dtype=np.int16))[:, None, None]
    cube[:, :, :40] = -32768
    return TileData(spec, cube, np.arange(5, 207, dtype=np.int32))


@pytest.fixture(scope="module")
def measured(tile):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cut_cases, "LAYOUTS", {name: cut_cases.LAYOUTS[name] for name in CHOSEN})
        return module.measure(tile, [], "fast", 2, 1)


def test_every_block_is_decoded_once(measured):
    assert list(measured["layout"]) == list(CHOSEN)
    assert (measured["patches"] == 5).all()
    assert (measured["decoded"] <= 1.05).all()
    assert (measured["decoded"] > 0.7).all()
    assert (measured["file_bytes_read"].dropna() <= 1.05).all()


def test_memory_stays_below_what_is_projected(measured):
    assert (measured["peak_mb"] < measured["projected_mb"]).all()
    assert (measured["peak_mb"] > measured["read_mb"]).all()


def test_ratios_are_of_what_was_measured(measured):
    found = cut_report.rates(measured).iloc[0]
    assert found["of_limit"] == (found["decode"] + found["encode"]) / found["cut"] > 0
    assert found["checksum_ms"] == 1000 * found["checksum_cpu"] / 5 >= 0
    assert found["checksum_of_cut"] == found["checksum_cpu"] / found["cut_cpu"]
    assert found["content_ms"] == 1000 * found["content_cpu"] >= 0
    assert found["over_windows"] == found["windows"] / found["cut"]
    assert found["cut_mb_s"] == pytest.approx(5 * 6.619136 / found["cut"])


def test_it_can_be_shown(measured, tmp_path):
    machine = {"cores": 2, "seed": 0, "rounds": 1, "codec": "fast"}
    text = "\n".join(cut_report.lines(measured, machine))
    for name in CHOSEN:
        assert text.count(f"  {name} ") == 3
    assert imread(cut_report.draw(measured, tmp_path / "cut.png", machine)).shape[1] > 1000


def test_what_is_measured_is_a_cut(tile, tmp_path, monkeypatch):
    monkeypatch.setattr(cut_cases, "LAYOUTS", {CHOSEN[0]: cut_cases.LAYOUTS[CHOSEN[0]]})
    for case in cases(tile, "fast", tmp_path / "case"):
        assert cut_tile(case.archive, case.dataset, case.task).patches == 5
        last = case.patches[-1]
        where = last.window.slices(case.source.box)
        stored = ShardReader(shard_path(case.dataset, 0), 16).encoded(4)
        assert np.array_equal(decode_patch(stored, "fast"), tile.cube[tile.index][:, *where])


def test_an_image_without_a_window_is_refused(tmp_path):
    path = tmp_path / "a.TIF"
    shape = {"count": 202, "height": 100, "width": 200}
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        dtype="int16",
        crs="EPSG:32633",
        transform=rasterio.Affine(30, 0, 15, 0, -30, 15),
        **shape,
    ) as target:
        target.write(np.ones((202, 100, 200), np.int16))
    with pytest.raises(UsageError, match="no window"):
        image_case(path, "fast", tmp_path / "case")
