import pandas as pd
import pytest

from spectralearth_build.bench.planning import clouds, scale


@pytest.mark.slow
def test_bench_plan_is_one_command(call, tmp_path):
    out = tmp_path / "out"
    done = call("bench", "plan", "--tiles", 6, "--seed", 2, "--sample", 2, "--out", out)
    assert done.exit_code == 0, done.output
    text = " ".join(done.output.split())
    assert "6 tiles (seed 2)" in text
    assert "peak memory (ru_maxrss)" in text
    for strategy in ("fixed lattice", "greedy by depth", "Algorithm 1, 100 kept, all dates", "ours (pairs)"):
        assert f" {strategy} " in text
    assert (out / "bench-plan.png").is_file()
    summary = pd.read_parquet(out / "bench-plan.parquet").set_index("strategy")
    assert summary.loc["ours (patches)", "tiles"] == 6
    assert (summary["seed"] == 2).all()
    assert f"{summary.loc['ours (patches)', 'patches']:,}" in text


def test_scale_and_masks_are_other_measurements(call, tmp_path, monkeypatch):
    asked = []
    runs = {"tiles": [3, 3], "workers": [2, 2], "preset": ["patches", "pairs"], "process_seconds": [2.0, 2.0]}
    runs |= {"seconds": [1.0, 1.0], "driver_mb": [1.0, 1.0], "worker_mb": [1.0, 1.0]}
    runs |= {
        key: [1, 1] for key in ("patches", "locations", "locations_2", "locations_3", "locations_5", "pairs")
    }
    monkeypatch.setattr(scale, "scale", lambda sizes, seed: asked.append((sizes, seed)) or pd.DataFrame(runs))
    measured = {key: [1.0] for key in ("load_seconds", "mask_seconds", "footprint_seconds")}
    measured |= {"tiles": [4], "mask_bytes": [9], "mask_runs": [5], "footprint_runs": [3]}
    monkeypatch.setattr(
        clouds, "validity", lambda tiles, seed: asked.append((len(tiles), seed)) or pd.DataFrame(measured)
    )
    out = ("--out", tmp_path)
    assert call("bench", "plan", "--scale", "--sizes", "9, 3", "--seed", 4, *out).exit_code == 0
    assert call("bench", "plan", "--masks", 4, *out).exit_code == 0
    assert asked == [([3, 9], 4), (4, 0)]
    names = ["bench-masks.parquet", "bench-scale.parquet", "bench-scale.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names


@pytest.mark.parametrize(
    "options", [("--scale", "--masks", 3), ("--scale", "--sizes", "many"), ("--scale", "--sizes", "0")]
)
def test_nonsense_is_refused(call, tmp_path, options):
    done = call("bench", "plan", *options, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert not (tmp_path / "out").exists()
