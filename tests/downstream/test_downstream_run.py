import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from spectralearth_build.dataset.access import open_dataset
from spectralearth_build.dataset.seen import SeenPatches
from spectralearth_build.downstream.grid import jobs
from spectralearth_build.downstream.grid_config import GridConfig
from spectralearth_build.downstream.inputs import inputs_of
from spectralearth_build.downstream.job import Refusal, RunContext, is_done, run_cell, share
from spectralearth_build.downstream.results import collect
from spectralearth_build.downstream.run import CELLS, FAILED, planned, run, threads_of
from spectralearth_build.downstream.separation import refuse_seen, told
from spectralearth_build.errors import UsageError
from spectralearth_build.evaluate.result import read_result
from spectralearth_build.labels import classes
from spectralearth_build.pretrain.encoders import Architecture, build
from spectralearth_build.pretrain.setup import spectra_of
from spectralearth_build.pretrain.weights import save_encoder
from tests.support.downstream_files import RIDGE_AND_SLOW

INSTANT = {"labels": "corine", "task": "single", "size": 16}
TREE = {
    "tasks": [{"name": "knn", "head": "knn", **INSTANT}, {"name": "ridge", "head": "ridge", **INSTANT}],
    "encoders": [{"name": "R", "network": "resnet18"}],
    "grid": [{"protocols": ["frozen"], "seeds": [0]}],
    "run": {"scheduler": "inline", "threads": 1},
}


def config_of(dataset, **changes):
    return GridConfig.model_validate({"dataset": str(dataset)} | TREE | changes)


def stamps(out, cells):
    return [(out / CELLS / job.key / "result.json").stat().st_mtime_ns for job in cells]


@pytest.mark.slow
def test_cells_run_once_and_a_failing_one_costs_only_itself(labelled, tmp_path):
    wrong = {"name": "wrong", "labels": "corine", "task": "single", "head": "unet"}
    config = config_of(labelled, tasks=[TREE["tasks"][0], wrong, TREE["tasks"][1]])
    cells = run(config, tmp_path)
    results = collect(cells, tmp_path)
    assert results["status"].tolist() == ["done", "failed", "done"]
    assert "'unet' does not support the task single" in results["message"][1]
    good = [cells[0], cells[2]]
    before = stamps(tmp_path, good)
    (tmp_path / CELLS / cells[0].key / ".x.partial").write_text("left by a stop")
    assert run(config, tmp_path) == cells
    assert stamps(tmp_path, good) == before
    assert not list((tmp_path / CELLS).rglob("*.partial"))
    less = run(config_of(labelled, tasks=TREE["tasks"][:1]), tmp_path)
    assert stamps(tmp_path, less) == before[:1]  # another grid, the same cell
    assert (results["test_oa"].dropna() > 0).all()
    assert results["encoder_trainable"].dropna().eq(0).all()


def test_an_encoder_that_has_seen_test_is_refused_before_any_cell(labelled, tmp_path):
    dataset, architecture = open_dataset(labelled), Architecture("resnet18", 202)
    for split in ("train", "test"):
        about = {"seen": SeenPatches.of(dataset.query(split=split), split).document()}
        file = tmp_path / split / "encoder.safetensors"
        save_encoder(file, build(architecture), architecture, spectra_of(labelled), about)
    encoder = {"name": "R", "network": "resnet18", "random": False}
    both = {split: str(tmp_path / split / "encoder.safetensors") for split in ("train", "test")}
    config = config_of(labelled, encoders=[encoder | {"pretrained": both}])
    with pytest.raises(UsageError, match=r"test.encoder.safetensors: 2 of 2 test patches"):
        run(config, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    allowed = config_of(labelled, encoders=[encoder | {"pretrained": both}], evaluate={"allow_seen": True})
    refuse_seen(allowed, planned(allowed))
    assert [job.key for job in planned(allowed)] == [job.key for job in planned(config)]
    # All patches are of one tile.
    assert told(config) == [
        "2 of 2 test patches share ground, a tile or a datatake with patches of other parts.",
        "2 of 2 test patches share ground with patches that the encoder was trained on. test/encoder.safetensors",
        "Trained on no ground of val and test: train/encoder.safetensors",
    ]


@pytest.mark.slow
def test_a_note_of_failure_goes_when_the_cell_is_done(labelled, tmp_path):
    config = config_of(labelled, tasks=TREE["tasks"][:1])
    (job,) = planned(config)
    note = tmp_path / CELLS / job.key / FAILED
    note.parent.mkdir(parents=True)
    note.write_text(json.dumps({"error_class": "X", "message": "Y"}))
    assert collect([job], tmp_path)["status"].tolist() == ["failed"]
    (note.parent / "result.json").write_text("{")  # half a disk's worth of nothing is no result
    run(config, tmp_path)
    assert collect([job], tmp_path)["status"].tolist() == ["done"]
    assert not note.exists()


@pytest.mark.slow
def test_a_killed_run_goes_on(labelled, tmp_path):
    path, out = tmp_path / "b.toml", tmp_path / "out"
    path.write_text(RIDGE_AND_SLOW.format(dataset=labelled))
    command = [sys.executable, "-m", "spectralearth_build", "downstream", str(path), str(out)]
    root = Path(__file__).parents[2]
    process = subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 240
        while not list(out.glob(f"{CELLS}/ridge*/result.json")) and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.2)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    path.write_text(path.read_text().replace("100000", "2"))
    (done,) = out.glob(f"{CELLS}/ridge*/result.json")
    before = done.stat().st_mtime_ns
    again = subprocess.run(
        [*command, "--scheduler", "inline"], cwd=root, capture_output=True, text=True, timeout=240
    )
    assert again.returncode == 0, again.stderr
    assert "2 cells, 1 of them done" in again.stdout
    assert done.stat().st_mtime_ns == before
    assert (out / "downstream.html").is_file()
    assert "ridge (F1 macro), frozen" in (out / "tables.md").read_text()


def test_a_cell_says_what_is_wrong_and_leaves_torch_as_it_was(labelled, tmp_path):
    (job,) = jobs(config_of(labelled, tasks=TREE["tasks"][:1]), inputs_of(config_of(labelled)))
    place = RunContext(str(labelled), tmp_path / "cache", 2)
    before = torch.get_num_threads()
    refused = run_cell(place, str(tmp_path / "none"), job.settings, tmp_path / "cell")
    assert isinstance(refused, Refusal)
    assert str(tmp_path / "none") in refused.message
    assert torch.get_num_threads() == before
    assert not is_done(tmp_path / "cell")


def test_threads_fill_the_machine_and_no_more():
    assert [share(16, workers) for workers in (1, 3, 16, 40)] == [16, 5, 1, 1]
    run_here, elsewhere = config_of("d"), config_of("d", run={"scheduler": "tcp://x:1"})
    assert threads_of(run_here, 1) == 1
    assert threads_of(elsewhere, 8) == 1
    local = config_of("d", run={})
    assert threads_of(local, 10_000) == 1
    assert threads_of(local, 1) >= threads_of(local, 2) >= 1


def test_inputs_change_with_splits_and_labels_and_with_nothing_else(labelled, tmp_path):
    copy = tmp_path / "dataset"
    copy.mkdir()
    for name in ("manifest.json", "splits.parquet"):
        shutil.copy(labelled / name, copy / name)
    before = inputs_of(config_of(labelled))
    assert inputs_of(config_of(copy)) == before  # the place does not matter
    manifest = json.loads((copy / "manifest.json").read_bytes())
    manifest["files"]["labels/other.json"] = {"bytes": 1, "sha256": "0"}
    manifest["files"]["report.html"] = {"bytes": 1, "sha256": "0"}
    (copy / "manifest.json").write_text(json.dumps(manifest))
    assert inputs_of(config_of(copy)) == before
    manifest["files"]["labels/corine.json"]["sha256"] = "0"
    (copy / "manifest.json").write_text(json.dumps(manifest))
    assert inputs_of(config_of(copy)).labels != before.labels
    assert inputs_of(config_of(copy)).dataset == before.dataset
    (copy / "splits.parquet").write_bytes(b"others")
    assert inputs_of(config_of(copy)).dataset != before.dataset
    (copy / "splits.parquet").unlink()
    with pytest.raises(UsageError, match="Run `split DATASET` to make it"):
        inputs_of(config_of(copy))


def test_weights_are_told_apart_by_what_is_in_them(labelled, tmp_path):
    path = tmp_path / "w"
    path.write_bytes(b"1")
    encoders = [TREE["encoders"][0] | {"pretrained": {"mine": str(path)}}]
    before = planned(config_of(labelled, encoders=encoders))
    path.write_bytes(b"2")
    after = planned(config_of(labelled, encoders=encoders))
    changed = {a.cell.initialisation for a, b in zip(before, after, strict=True) if a.key != b.key}
    assert changed == {"mine"}


@pytest.fixture
def own_classes(labelled, tmp_path, monkeypatch):
    """The configuration of a task with a class table of the user beside the command, and that file."""
    table = tmp_path / "own.csv"
    shutil.copy(Path(classes.__file__).with_name("corine19.csv"), table)
    monkeypatch.chdir(tmp_path)
    return config_of(labelled, tasks=[TREE["tasks"][1] | {"nomenclature": "own.csv"}]), table


def test_a_class_table_counts_by_what_is_in_it(labelled, own_classes):
    config, table = own_classes
    (before,) = planned(config)
    (elsewhere,) = planned(config_of(labelled, tasks=[TREE["tasks"][1] | {"nomenclature": str(table)}]))
    (by_name,) = planned(config_of(labelled, tasks=[TREE["tasks"][1] | {"nomenclature": "corine19"}]))
    assert before.key == elsewhere.key == by_name.key
    table.write_text(table.read_text().replace("Pastures", "Meadows"))
    assert planned(config)[0].key != before.key


@pytest.mark.slow
def test_workers_find_a_class_table_from_another_place(own_classes, tmp_path, monkeypatch):
    config, _ = own_classes
    (tmp_path / "away").mkdir()

    def away(*task):
        with contextlib.chdir(tmp_path / "away"):
            return run_cell(*task)

    monkeypatch.setattr("spectralearth_build.downstream.run.run_cell", away)
    cells = run(config, tmp_path / "out")
    assert collect(cells, tmp_path / "out")["status"].tolist() == ["done"]


@pytest.mark.slow
def test_a_worker_that_outlives_a_class_table_reads_it_anew(own_classes, labelled, tmp_path):
    config, table = own_classes
    (job,) = planned(config)
    for name in ("Pastures", "Meadows"):
        table.write_text(table.read_text().replace("Pastures", name))
        assert (
            run_cell(RunContext(str(labelled), tmp_path / "cache", 1), "", job.settings, tmp_path / name)
            is None
        )
        assert name in read_result(tmp_path / name).settings["classes"]


def test_a_name_that_comes_with_the_package_is_no_path(labelled, tmp_path, monkeypatch):
    seen = []
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corine19").touch()
    monkeypatch.setattr(
        "spectralearth_build.downstream.run.run_cell",
        lambda place, weights, settings, folder: seen.append(settings["nomenclature"]),
    )
    tasks = [TREE["tasks"][0], TREE["tasks"][1] | {"nomenclature": "corine19"}]
    run(config_of(labelled, tasks=tasks), tmp_path / "out")
    assert seen == ["", "corine19"]


def test_an_unknown_class_table_is_told_before_anything_runs(labelled):
    with pytest.raises(UsageError, match="There is no nomenclature 'corine20'"):
        planned(config_of(labelled, tasks=[TREE["tasks"][1] | {"nomenclature": "corine20"}]))


@pytest.mark.slow
def test_the_driver_needs_no_torch():
    modules = "spectralearth_build.downstream.page, spectralearth_build.downstream.run"
    command = [sys.executable, "-c", f"import sys, {modules}; print('torch' in sys.modules)"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "False"
