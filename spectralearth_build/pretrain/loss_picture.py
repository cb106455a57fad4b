"""A plot of the log of a pretraining run."""

from __future__ import annotations

from pathlib import Path

from spectralearth_build.files import replacing
from spectralearth_build.pretrain.log import CSV, read

PANELS = {
    "loss": "loss",
    "rate": "learning rate",
    "feature_std": "spread of features (1: even, 0: collapse)",
    "rank": "effective rank of features",
    "teacher_entropy": "entropy of the teacher, nats",
    "knn": "k-NN accuracy on held-out locations",
    "samples_per_s": "samples per second",
}


def draw_log(run: Path) -> Path:
    """Plot the log of a run, one panel per figure, and return the path of the plot."""
    from matplotlib.figure import Figure

    rows = read(run / CSV)
    names = [name for name in PANELS if any(name in row for row in rows)]
    figure = Figure(figsize=(9, 2.1 * ((len(names) + 1) // 2) + 0.3), layout="constrained")
    for place, name in enumerate(names, 1):
        axes = figure.add_subplot((len(names) + 1) // 2, 2, place)
        points = [(int(row["step"]), float(row[name])) for row in rows if name in row]
        axes.plot(*zip(*points, strict=True), lw=1.2, color="#1f6f8b")
        axes.set_title(PANELS[name], fontsize=9, loc="left")
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    path = run / "losses.png"
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
    return path
