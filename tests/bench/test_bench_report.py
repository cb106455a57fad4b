import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from spectralearth_build.bench.planning.comparison import totals
from spectralearth_build.bench.planning.contest import KEPT, OURS, Contest
from spectralearth_build.bench.planning.report import lines, write

pytestmark = pytest.mark.slow

MACHINE = {"cores": 2, "seed": 0, "peak_mb": 321.0}


def test_the_tables_say_what_was_measured(result):
    text = "\n".join(lines(result, MACHINE))
    assert "13 tiles (seed 0) in 6 components, the largest of 4 tiles" in text
    assert "2 cores" in text
    assert "321 MB" in text
    assert "A sample of 5 components" in text
    for row in totals(result).itertuples():
        (line,) = [
            line for line in text.splitlines() if line.split("  ")[1:2] == [row.strategy] and " % " in line
        ]
        assert f" {row.patches:,} " in line
        assert f" {row.pairs:,} " in line


def test_a_loss_is_not_hidden(result):
    runs = result.runs.copy()
    better = (runs["strategy"] == "fixed lattice") & (runs["component"] == 3)
    runs.loc[better, "value_patches"] = 10**6
    text = "\n".join(lines(Contest(result.components, runs), MACHINE))
    assert "Ours is worth less in" in text
    assert "1,000,000" in text


def test_it_is_written_as_parquet_and_as_a_picture(result, tmp_path):
    written = write(result, tmp_path, MACHINE)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in written)
    summary = pd.read_parquet(tmp_path / "bench-plan.parquet")
    assert summary["peak_mb"].eq(321).all()
    assert set(summary["strategy"]) >= {*OURS.values(), *KEPT}
    runs = pd.read_parquet(tmp_path / "bench-plan-runs.parquet")
    assert (
        runs.groupby("strategy")["patches"].sum().to_dict()
        == summary.set_index("strategy")["patches"].to_dict()
    )
    picture = imread(tmp_path / "bench-plan.png")
    assert picture.shape[1] > 1000
    assert len(np.unique(picture.reshape(-1, picture.shape[2]), axis=0)) > 50
