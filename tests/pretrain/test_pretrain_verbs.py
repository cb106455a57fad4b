"""The verbs, as processes."""

import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
import torch

from spectralearth_build.pretrain import checkpoint
from spectralearth_build.pretrain.log import read

COMMAND = [sys.executable, "-m", "spectralearth_build"]
TINY = ["--set", "train.batch=2", "--set", "train.log_steps=1", "--set", "train.precision=fp32",
        "--set", "encoder.name=resnet18", "--set", "simclr.views.size=16", "--set", "objective=simclr",
        "--set", "train.checkpoint_steps=1000"]  # fmt: skip
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def run(*arguments, **kwargs):
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=240,
        env=ENVIRONMENT,
        **kwargs,
    )


@pytest.mark.slow
def test_sigterm_saves_and_the_next_call_goes_on(dataset, tmp_path):
    folder = tmp_path / "run"
    arguments = [*COMMAND, "pretrain", dataset.folder, folder, *TINY, "--set", "train.steps=100000"]
    process = subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    )
    deadline = time.monotonic() + 200
    while len(read(folder / "log.csv")) < 2 and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=100)
    assert process.returncode == 75, out + err
    assert "a checkpoint was saved" in err
    (saved,) = checkpoint.found(folder / "checkpoints")
    step = int(saved.name.removeprefix("step-"))
    assert step >= 2
    assert step == int(read(folder / "log.csv")[-1]["step"])


@pytest.mark.slow
def test_two_processes_train_and_end_in_peace(dataset, tmp_path):
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "spectralearth_build", "pretrain", dataset.folder, folder, *TINY]
    common = {"capture_output": True, "text": True, "timeout": 240, "env": ENVIRONMENT}
    done = subprocess.run([*command, "--set", "train.steps=2"], **common)
    assert done.returncode == 0, done.stderr
    weights = (folder / "encoder.safetensors").read_bytes()
    done = subprocess.run([*command, "--set", "train.steps=2"], **common)  # nothing is left to do
    assert done.returncode == 0, done.stderr
    assert (folder / "encoder.safetensors").read_bytes() == weights
    assert [line["step"] for line in read(folder / "log.csv")] == ["1", "2"]
    assert len(checkpoint.found(folder / "checkpoints")) == 1


@pytest.mark.slow
def test_a_run_ends_with_encoder_picture_and_embeddings(dataset, tmp_path):
    folder = tmp_path / "run"
    labels = tmp_path / "labels.parquet"
    names = pd.read_parquet(dataset.folder / "locations.parquet", columns=["location_id"])["location_id"]
    pd.DataFrame({"location_id": names, "label": [0, 1, 0, 1, 1]}).to_parquet(labels)
    done = run(
        "pretrain", dataset.folder, folder, *TINY, "--set", "train.steps=3", "--set", f"data.labels={labels}"
    )
    assert done.returncode == 0, done.stderr
    assert "3 of 3, loss" in done.stdout
    assert (folder / "encoder.safetensors").is_file()
    assert (folder / "losses.png").read_bytes().startswith(b"\x89PNG")
    assert list((folder / "events").iterdir())
    last = read(folder / "log.csv")[-1]
    assert {"loss", "rate", "samples_per_s", "waiting", "feature_std", "rank", "knn"} <= set(last)
    output = tmp_path / "vectors.parquet"
    done = run("embed", dataset.folder, folder / "encoder.safetensors", "--output", output, "--batch", 4)
    assert done.returncode == 0, done.stderr
    assert "9 vectors" in done.stdout
    assert len(pd.read_parquet(output)["vector"][0]) == 512
    program = tmp_path / "encoder.pt2"
    done = run("export-encoder", folder / "encoder.safetensors", program, "--edge", 32)
    assert done.returncode == 0, done.stderr
    vectors = torch.export.load(program).module()(torch.zeros(3, 202, 32, 32, dtype=torch.int16))
    assert vectors.shape == (3, 512)
    done = run("export-encoder", folder / "encoder.safetensors", tmp_path / "encoder.h5")
    assert done.returncode == 2
    assert ".pt2 or .onnx" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "encoder.name=resnet99"], "encoder.name: Input should be 'resnet18', 'resnet50', 'vit_s'"),
        (["--set", "objective=mae", "--set", "encoder.name=swin_t"], "MAE needs a ViT"),
        (["--set", "data.min_dates=90"], "No patch meets the conditions"),
    ],
)
def test_mistakes_end_with_2(dataset, tmp_path, arguments, message):
    done = run("pretrain", dataset.folder, tmp_path / "run", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
