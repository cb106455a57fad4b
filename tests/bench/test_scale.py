import pandas as pd
import pytest
from matplotlib.image import imread

from spectralearth_build.bench.planning import scale as module
from spectralearth_build.errors import BuildError
from spectralearth_build.tables import TILES


@pytest.fixture
def runs(monkeypatch):
    """Three sizes, with what the child would say made up."""
    seen = []

    def child(dataset, workers, preset):
        tiles = len(TILES.read(dataset, ["tile_id"]))
        seen.append((tiles, workers, preset))
        yields = {
            "patches": 10 * tiles,
            "locations": tiles,
            "locations_2": 3,
            "locations_3": 2,
            "locations_5": 1,
        }
        return {
            "seconds": tiles / 10,
            "start_seconds": 1.0,
            "driver_mb": 300.0,
            "worker_mb": 200.0 * bool(workers),
            "pairs": 7,
        } | yields

    monkeypatch.setattr(module, "_in_child", child)
    monkeypatch.setattr(module, "ARCHIVE", 9)
    return module.scale([20, 8, 3], seed=0), seen


def test_each_size_is_planned_in_one_process_and_on_workers(runs):
    table, seen = runs
    plain = [(tiles, workers, "patches") for tiles in (3, 8, 20) for workers in (0, 2)]
    assert seen == [(3, 0, "patches"), *plain, (8, 2, "series"), (8, 2, "pairs")]
    assert list(table[["tiles", "workers", "preset"]].itertuples(index=False, name=None)) == seen[1:]


def test_the_tables_show_the_curve_and_the_presets(runs, tmp_path):
    text = "\n".join(module.lines(runs[0], cores=2, seed=0))
    assert "Presets on the same archive, 8 tiles" in text
    curve, presets = text.split("Presets on")
    assert len([line for line in curve.splitlines() if " workers " in line]) == 3
    for preset in ("patches", "series", "pairs"):
        assert f"\n  {preset} " in presets
    assert " 100 " in curve  # seconds for 1,000 tiles
    assert imread(module.draw(runs[0], tmp_path / "curve.png")).shape[1] > 1000


@pytest.mark.slow
def test_a_child_that_fails_says_why(tmp_path):
    with pytest.raises(BuildError, match="There is no tiles"):
        module._in_child(tmp_path, 0, "patches")


def test_the_frame_is_plain(runs, tmp_path):
    runs[0].to_parquet(tmp_path / "x.parquet")
    assert pd.read_parquet(tmp_path / "x.parquet")["driver_mb"].eq(300).all()
