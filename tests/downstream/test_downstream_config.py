import tomllib
from pathlib import Path

import pytest
import torch

from spectralearth_build.downstream.grid_config import GridConfig
from spectralearth_build.evaluate.task_config import CHOOSES, FIGURES
from tests.support.downstream_results import TREE

WORKFLOW = Path(__file__).parents[2] / "workflows" / "downstream.toml"


@pytest.mark.parametrize("kind", FIGURES)
def test_metrics_are_the_figures_of_evaluate(kind):
    from spectralearth_build.evaluate.scoring import Scorer

    assert set(FIGURES[kind]) == set(Scorer(kind, 3, torch.device("cpu")).figures())
    assert CHOOSES[kind] in FIGURES[kind]


def test_the_workflow_is_complete_and_as_large_as_it_says():
    from spectralearth_build.downstream.grid import CellInputs, jobs, weight_files

    text = WORKFLOW.read_text(encoding="utf-8")
    config = GridConfig.model_validate(tomllib.loads(text))
    labels = {task.labels: "l" for task in config.tasks}
    classes = {task.nomenclature: "c" for task in config.tasks}
    cells = list(jobs(config, CellInputs("d", labels, dict.fromkeys(weight_files(config), "w"), classes)))
    assert f"has {len(cells)} evaluations" in " ".join(text.replace("#", " ").split())
    assert {task.nomenclature for task in config.tasks} >= {"corine19", "cdl14"}


def test_made_results_are_a_benchmark():
    assert len(GridConfig.model_validate(TREE).tasks) == 2
