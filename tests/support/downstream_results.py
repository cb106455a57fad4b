"""A benchmark whose cells are written by formulas, so that every number on its page is known."""

import numpy as np

from spectralearth_build.downstream.grid import CellInputs, jobs
from spectralearth_build.downstream.grid_config import GridConfig
from spectralearth_build.downstream.run import CELLS
from spectralearth_build.evaluate.result import PREDICTIONS, Result
from spectralearth_build.labels.classes import IGNORE, LabelClass

TREE = {
    "dataset": "nowhere",
    "title": "Made <results>",
    "tasks": [
        {"name": "CORINE", "labels": "corine", "task": "multilabel", "nomenclature": "corine19"},
        {"name": "NLCD", "labels": "nlcd", "task": "segmentation", "metric": "iou_micro"},
    ],
    "encoders": [
        {"name": "ResNet-18", "network": "resnet18", "pretrained": {"moco": "m", "mae": "a-{seed}"}}
    ],
    "grid": [{"fractions": [0.1, 1.0], "seeds": [0, 1, 2]}],
}
CLASSES = {
    "CORINE": (LabelClass(0, "Urban fabric", "#e6004d", (111,)),),
    "NLCD": (LabelClass(0, "Water", "#466b9f", (11,)), LabelClass(1, "Forest", "#1c5f2c", (42,)),
             LabelClass(2, "Crops", "#ab6c28", (82,)), LabelClass(3, "Snow", "#d1def8", (12,))),
}  # fmt: skip
INPUTS = CellInputs(
    "d", {"corine": "c", "nlcd": "n"}, {"m": "1", "a-0": "2", "a-1": "3", "a-2": "4"}, {"corine19": "k"}
)
GAIN = {"moco": 0.20, "mae": 0.12, "random": 0.0}
LEVEL = {"frozen": 0.40, "adapter": 0.45, "finetune": 0.55, "scratch": 0.50}


def value(cell):
    """The figure that a cell has on test."""
    return (LEVEL[cell.protocol] + GAIN[cell.initialisation] * (0.5 if cell.protocol == "adapter" else 1)
            - 0.1 * (1 - cell.fraction) + 0.01 * cell.seed)  # fmt: skip


def made(out, **changes):
    """The configuration, its cells, and a finished result for each cell below ``out``."""
    config = GridConfig.model_validate(TREE | changes)
    cells = list(jobs(config, INPUTS))
    for job in cells:
        finish(job, out / CELLS / job.key)
    return config, cells


def finish(job, folder):
    """A result as `evaluate` writes it."""
    cell, task = job.cell, job.settings["task"]
    names = (
        ("f1_micro", "f1_macro", "map_micro", "map_macro")
        if task == "multilabel"
        else ("oa", "iou_micro", "iou_macro")
    )
    figures = {
        f"{part}_{name}": value(cell) - 0.05 * k for part in ("val", "test") for k, name in enumerate(names)
    }
    epochs = range(1, 21)
    curve = [{"epoch": epoch, "loss": 1 / epoch, "rate": 1e-3, "seconds": 1.0,
              **{f"val_{name}": figures[f"val_{name}"] * (1 - 0.6 * np.exp(-epoch / 5)) for name in names}}
             for epoch in epochs]  # fmt: skip
    trained = {"frozen": 0, "adapter": 56_192, "finetune": 11_300_000, "scratch": 11_300_000}[cell.protocol]
    samples = {"train": int(100 * cell.fraction), "val": 12, "test": 14}
    notes = ["test: 1 of 4 classes have no label in train: Snow."] if cell.fraction < 1 else []
    Result(figures, curve, trained + 9747, trained, samples, 60.0, 17, f"val_{names[0]}", [], notes).write(
        folder
    )
    if task == "segmentation" and cell.seed == 0:
        predict(cell, folder)


def predict(cell, folder):
    """Maps of five patches: the truth with a share of pixels wrong."""
    random = np.random.default_rng(7)
    line, col = np.mgrid[:128, :128]
    truth = np.stack([((line // (20 + 4 * k) + col // 31) % 3) for k in range(5)]).astype(np.uint8)
    truth[:, :6] = IGNORE
    rgb = (80 + 50 * truth[..., None] % 160 + random.integers(0, 30, (5, 128, 128, 3))).astype(np.uint8)
    wrong = random.random(truth.shape) > value(cell)
    prediction = np.where(wrong, random.integers(0, 3, truth.shape), truth % 3).astype(np.uint8)
    np.savez(
        folder / PREDICTIONS,
        rgb=rgb,
        truth=truth,
        prediction=prediction,
        patch_id=[f"p{k}" for k in range(5)],
    )
