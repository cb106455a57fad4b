from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralearth_build.downstream.grid import GridCell, jobs, percent, protocols_of, slug
from spectralearth_build.downstream.grid_config import GridConfig
from tests.support.downstream_results import INPUTS, TREE

PROTOCOLS = ("frozen", "finetune", "adapter", "scratch")


def cells(**changes):
    return list(jobs(GridConfig.model_validate(TREE | changes), INPUTS))


def test_the_grid_is_the_product_without_what_makes_no_sense():
    found = [job.cell for job in cells()]
    expected = {
        (task, start, protocol, fraction, seed)
        for task in ("CORINE", "NLCD")
        for start in ("moco", "mae", "random")
        for protocol in ("frozen", "adapter", "scratch" if start == "random" else "finetune")
        for fraction in (0.1, 1.0)
        for seed in (0, 1, 2)
    }
    assert {(c.task, c.initialisation, c.protocol, c.fraction, c.seed) for c in found} == expected
    assert len(found) == len(expected)


@given(st.lists(st.sampled_from(PROTOCOLS), unique=True, min_size=1))
def test_random_weights_are_never_fine_tuned_and_others_never_thrown_away(asked):
    random, ours = protocols_of(tuple(asked), "random"), protocols_of(tuple(asked), "moco")
    assert "finetune" not in random
    assert ("scratch" in random) == bool({"finetune", "scratch"} & set(asked))
    assert "scratch" not in ours
    assert set(ours) == set(asked) - {"scratch"}
    assert len(random) == len(set(random))


def test_grids_are_put_together_and_what_is_in_several_is_done_once():
    grid = [
        {"tasks": ["NLCD"], "protocols": ["frozen"], "seeds": [1]},
        {
            "encoders": ["ResNet-18"],
            "protocols": ["frozen", "scratch"],
            "fractions": [0.5, 1.0],
            "seeds": [1],
        },
    ]
    found = [job.cell for job in cells(grid=grid)]
    assert (
        len(found) == len(set(found)) == 2 * 2 * 3 + 2 * 2
    )  # frozen of all starts, scratch of random weights
    assert len([cell for cell in found if cell.task == "NLCD"]) == len(found) // 2
    alone = [job.cell for job in cells(grid=grid[:1])]
    assert {(cell.task, cell.initialisation) for cell in alone} == {
        ("NLCD", n) for n in ("moco", "mae", "random")
    }


def test_the_more_particular_setting_goes_first():
    evaluate = {"epochs": 10, "rate": 0.1, "batch": 8, "finetune": {"rate": 0.2, "epochs": 20}}
    tasks = [TREE["tasks"][0] | {"epochs": 30}]
    found = {job.cell.protocol: job.settings for job in cells(evaluate=evaluate, tasks=tasks)}
    assert [found["finetune"][name] for name in ("epochs", "rate", "batch")] == [30, 0.2, 8]
    assert [found["frozen"][name] for name in ("epochs", "rate", "batch")] == [30, 0.1, 8]
    assert "size" not in found["frozen"]


def test_weights_may_differ_by_seed():
    found = {(job.cell.initialisation, job.cell.seed): job.weights for job in cells()}
    assert found["mae", 2] == "a-2"
    assert found["moco", 2] == "m"
    assert found["random", 2] == ""


def test_names_are_readable_and_unlike():
    found = cells()
    assert found[0].cell.name == "corine.resnet-18-moco.frozen.10pct.s0"
    assert len({job.cell.name for job in found}) == len({job.key for job in found}) == len(found)
    assert all(job.key.startswith(f"{job.cell.name}-") for job in found)


def test_the_digest_changes_with_all_that_decides_and_with_nothing_else():
    first = cells()[0]
    assert cells()[0].digest == first.digest
    assert cells(evaluate={"device": "cuda"})[0].digest == first.digest
    assert cells(title="other", run={"workers": 2})[0].digest == first.digest
    for other in (
        cells(evaluate={"epochs": 3})[0],
        cells(evaluate={"frozen": {"rate": 0.5}})[0],
        replace(first, inputs="new dataset"),
        replace(first, cell=replace(first.cell, seed=9)),
    ):
        assert other.digest != first.digest


def test_other_weights_in_the_same_file_are_other_cells():
    config = GridConfig.model_validate(TREE)
    before, after = (
        list(jobs(config, replace(INPUTS, weights=INPUTS.weights | {"m": digest}))) for digest in ("1", "9")
    )
    changed = {a.cell.initialisation for a, b in zip(before, after, strict=True) if a.digest != b.digest}
    assert changed == {"moco"}


def test_other_labels_are_other_cells_of_their_tasks_alone():
    config = GridConfig.model_validate(TREE)
    other = replace(INPUTS, labels=INPUTS.labels | {"nlcd": "new"})
    pairs = zip(jobs(config, INPUTS), jobs(config, other), strict=True)
    assert {a.cell.task for a, b in pairs if a.digest != b.digest} == {"NLCD"}


def test_other_classes_are_other_cells_of_their_tasks_alone():
    config = GridConfig.model_validate(TREE)
    pairs = zip(jobs(config, INPUTS), jobs(config, replace(INPUTS, classes={"corine19": "new"})), strict=True)
    assert {a.cell.task for a, b in pairs if a.digest != b.digest} == {"CORINE"}


def test_the_place_of_a_class_table_decides_nothing():
    tasks = [TREE["tasks"][0] | {"nomenclature": "elsewhere/mine.csv"}]
    config = GridConfig.model_validate(TREE | {"tasks": tasks})
    there = next(jobs(config, replace(INPUTS, classes={"elsewhere/mine.csv": "k"})))
    assert there.digest == cells()[0].digest
    without = {name: value for name, value in TREE["tasks"][0].items() if name != "nomenclature"}
    assert cells(tasks=[without])[0].digest != there.digest


@pytest.mark.parametrize(("text", "expected"), [("ViT-S/4", "vit-s-4"), ("../x y", "x-y"), ("Ωß", "x")])
def test_slugs_are_safe_for_any_file_system(text, expected):
    assert slug(text) == expected


@pytest.mark.parametrize(("fraction", "expected"), [(1.0, "100"), (0.1, "10"), (0.005, "0.5"), (0.07, "7")])
def test_percent(fraction, expected):
    assert percent(fraction) == expected


def test_a_cell_has_a_name_without_separators_in_it():
    assert GridCell("A b", "C.d", "e", "frozen", 0.25, 1).name == "a-b.c-d-e.frozen.25pct.s1"
