"""The verb, in this process."""

import dataclasses
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from spectralearth_build.cli.app import app
from spectralearth_build.evaluate.result import Result, read_result
from spectralearth_build.evaluate.task_config import CHOOSES, EvaluateConfig

TINY = [
    "--size",
    "65",
    "--batch",
    "8",
    "--device",
    "cpu",
    "--set",
    "threads=1",
    "--set",
    "encoder.name=resnet18",
]


def run(*arguments):
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


@pytest.mark.slow
def test_several_seeds_give_a_table_and_a_result_each(known, tmp_path):
    asked = [known.folder, "--labels", "corine", "--task", "multilabel", *TINY, "--epochs", 2, "--seeds", 2]
    done = run(*asked, "--output", tmp_path)
    assert done.exit_code == 0, done.output
    assert "4 patches of 4 locations to train on, 2 val, 2 test, 1 without labels" in done.output
    assert "+- (2 seeds)" in done.output
    one, two = (read_result(tmp_path / f"seed-{seed}") for seed in (0, 1))
    for name in ("f1_micro", "f1_macro", "map_micro", "map_macro"):
        mean = (one.figures[f"test_{name}"] + two.figures[f"test_{name}"]) / 2
        (line,) = [line for line in done.output.splitlines() if line.split()[:1] == [name]]
        assert line.split()[2] == f"{mean:.3f}"
    assert [each.settings["seed"] for each in (one, two)] == [0, 1]
    again = run(*asked, "--output", tmp_path)
    assert again.exit_code == 0
    assert "features" not in again.output


@pytest.mark.slow
def test_an_instant_answer(known, weights, tmp_path):
    done = run(
        known.folder, "--labels", "corine", "--task", "segmentation", "--head", "ridge", "--encoder", weights,
        "--size", 64, "--device", "cpu", "--output", tmp_path,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "the best on val" in done.output
    assert "iou_macro" in done.output
    assert read_result(tmp_path).figures["test_oa"] > 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task", "detection"], "task"),
        (["--task", "single", "--set", "colour=red"], "unknown setting 'colour' (known here: head, epochs"),
        (["--task", "single", "--head", "unet"], "does not support the task single"),
        (["--task", "single", "--labels", "cdl"], "There is no label 'cdl'"),
        (
            ["--task", "single", "--set", "encoder.name=resnet99"],
            "encoder.name: Input should be 'resnet18'",
        ),
    ],
)
def test_mistakes_end_with_2_and_teach(known, tmp_path, arguments, message):
    done = run(known.folder, "--labels", "corine", "--output", tmp_path, *arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert "Traceback" not in done.output + done.stderr


def test_the_page_names_every_setting_and_what_a_result_holds():
    page = (Path(__file__).parents[2] / "docs/evaluation.md").read_text()
    settings = set(re.findall(r"`(\w+)`", page.split("## Settings")[1]))
    assert set(EvaluateConfig.model_fields) - {"encoder"} <= settings
    written = page.split("## What is written")[1].split("## Settings")[0]
    assert {field.name for field in dataclasses.fields(Result)} - {"seconds"} <= set(
        re.findall(r"`(\w+)`", written)
    )
    for task, figure in CHOOSES.items():
        (line,) = re.findall(rf"^\| `{task}` .*$", page.split("## Protocols")[0], re.MULTILINE)
        assert line.endswith(f"`{figure}` |")
