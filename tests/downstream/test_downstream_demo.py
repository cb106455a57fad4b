from pathlib import Path

import pandas as pd
import pytest

from spectralearth_build.downstream.config_file import load
from spectralearth_build.downstream.demo import TEMPLATE, Sizes, prepare
from spectralearth_build.downstream.run import planned
from spectralearth_build.labels.read import open_labels
from spectralearth_build.split.steps import check_dataset

pytestmark = pytest.mark.slow

SMALL = Sizes(tiles=5, edge=260, steps=1, batch=2)


def cells_of(tmp_path):
    weights = tmp_path / "w"
    weights.touch()
    path = tmp_path / "b.toml"
    path.write_text(TEMPLATE.format(dataset="d", objective="simclr", encoder=weights))
    return load(path)


def test_the_grid_shows_what_it_must(tmp_path):
    config = cells_of(tmp_path)
    assert {(task.labels, task.task) for task in config.tasks} == {
        ("corine", "multilabel"), ("cdl", "segmentation"), ("nlcd", "segmentation"), ("nlcd", "single"),
    }  # fmt: skip
    grids = {(p, f): grid for grid in reversed(config.grid) for p in grid.protocols for f in grid.fractions}
    assert set(grids) == {
        ("frozen", 0.1),
        ("frozen", 1.0),
        ("finetune", 0.1),
        ("scratch", 0.1),
        ("adapter", 0.1),
    }
    for key in set(grids) - {("adapter", 0.1)}:
        assert len(grids[key].seeds) == 3
    assert config.encoders[0].initialisations == ("simclr", "random")


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo")
    return out, load(prepare(out, "inline", sizes=SMALL))


def test_from_nothing_to_cells_that_could_run(demo):
    _, config = demo
    assert len(planned(config)) > 60
    for task in config.tasks:
        labels = open_labels(config.dataset, task.labels)
        assert len({int(k) for found in labels.table["classes"] for k in found}) > 1
    assert not check_dataset(Path(config.dataset)).leaks


def test_again_it_makes_nothing_anew(demo):
    out, config = demo
    kept = [out / "dataset" / "manifest.json", out / "dataset" / "splits.parquet", *(out / "land-cover").iterdir(),
            out / "pretrained-simclr" / "encoder.safetensors"]  # fmt: skip
    before = pd.Series({path: path.stat().st_mtime_ns for path in kept})
    assert load(prepare(out, "inline", sizes=SMALL)) == config
    assert before.equals(pd.Series({path: path.stat().st_mtime_ns for path in kept}))
