"""Example maps: test patches with image, labels and predictions of several encoders, side by side."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.image import imsave
from matplotlib.patches import Patch

from spectralearth_build.downstream.grid import CellJob
from spectralearth_build.downstream.grid_config import GridConfig, TaskEntry
from spectralearth_build.downstream.run import CELLS
from spectralearth_build.evaluate.result import PREDICTIONS
from spectralearth_build.files import replacing
from spectralearth_build.labels.classes import IGNORE, LabelClass
from spectralearth_build.report.maps import Theme

Pixels = npt.NDArray[np.uint8]
ROWS = 4
"""Number of patches shown per task and encoder."""
WORDS = {"frozen": "frozen", "finetune": "full", "scratch": "full", "adapter": "adapter"}


@dataclass(frozen=True)
class Row:
    """One patch."""

    name: str
    image: Pixels
    """Natural colour [y, x, 3]."""
    classes: tuple[npt.NDArray[np.uint8], ...]
    """Label map, then the predicted map of each cell, as class indices [y, x]."""


@dataclass(frozen=True)
class Panel:
    """Patches of a task, mapped by all cells of one encoder."""

    title: str
    names: tuple[str, ...]
    """Names of the cells whose maps are shown."""
    rows: tuple[Row, ...]
    classes: tuple[LabelClass, ...]

    @property
    def present(self) -> list[LabelClass]:
        """Return the classes that occur in any of the maps."""
        seen = {int(k) for row in self.rows for one in row.classes for k in np.unique(one)}
        return [each for each in self.classes if each.index in seen]


def panels(
    config: GridConfig, cells: Sequence[CellJob], out: Path, classes: dict[str, tuple[LabelClass, ...]]
) -> Iterator[Panel]:
    """Yield the panels of all segmentation tasks, from cells with the largest label fraction and the first seed.

    Args:
        config: the settings of the comparison.
        cells: all cells. Unfinished cells, and cells without maps, are not shown.
        out: output folder.
        classes: the classes of each task.
    """
    for task in config.tasks:
        if task.task != "segmentation":
            continue
        for encoder in config.encoders:
            found = dict(_maps(task, encoder.name, cells, out))
            if found:
                title = f"{task.name}, {encoder.name}" if len(config.encoders) > 1 else task.name
                yield _panel(title, found, classes[task.name])


def colour_table(classes: Sequence[LabelClass]) -> Pixels:
    """Return the RGBA colour of each class index, uint8 [256, 4]. Other indices are transparent."""
    table = np.zeros((256, 4), np.uint8)
    for each in classes:
        table[each.index] = np.round(255 * np.array(to_rgba(each.colour)))
    return table


def address(pixels: Pixels) -> str:
    """Return an image [y, x, 3 or 4] as a ``data:`` URL."""
    buffer = io.BytesIO()
    imsave(buffer, pixels, format="png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def for_page(panel: Panel) -> dict[str, object]:
    """Convert a panel for the page template."""
    table = colour_table(panel.classes)
    rows = [{"name": row.name, "pictures": [address(row.image), *(address(table[one]) for one in row.classes)]}
            for row in panel.rows]  # fmt: skip
    legend = [(each.name, each.colour) for each in panel.present]
    return {"title": panel.title, "names": panel.names, "rows": rows, "legend": legend}


def save(panel: Panel, path: Path) -> Path:
    """Save a panel as a PNG on white, with a legend."""
    theme, table = Theme(), colour_table(panel.classes)
    columns, lines = 2 + len(panel.names), len(panel.rows)
    keys = [Patch(color=each.colour, label=each.name) for each in panel.present]
    across = max(2, int(1.45 * columns // 2.4))
    height = 1.55 * lines + 0.35 + 0.2 * -(-len(keys) // across)
    with mpl.rc_context({"font.family": "DejaVu Sans"}):
        figure = Figure(figsize=(1.45 * columns, height), layout="constrained")
        grid = figure.subplots(lines, columns, squeeze=False)
        for axes, row in zip(grid, panel.rows, strict=True):
            for one, pixels in zip(axes, (row.image, *(table[each] for each in row.classes)), strict=True):
                one.imshow(pixels, interpolation="nearest")
                one.set_axis_off()
        for one, name in zip(grid[0], ("image", "labels", *panel.names), strict=True):
            one.set_title(name.replace(", ", "\n"), fontsize=8, color=theme.ink)
        figure.legend(
            handles=keys,
            loc="outside lower center",
            ncols=across,
            frameon=False,
            fontsize=7.5,
            labelcolor=theme.ink,
        )
        with replacing(path) as temporary:
            figure.savefig(temporary, format="png", dpi=150, metadata={"Software": None})
    return path


def _maps(
    task: TaskEntry, encoder: str, cells: Sequence[CellJob], out: Path
) -> Iterator[tuple[str, dict[str, npt.NDArray[np.generic]]]]:
    """Yield the name and the saved maps of each cell to show."""
    mine = [job for job in cells if job.cell.task == task.name and job.cell.encoder == encoder]
    if not mine:
        return
    most, first = max(job.cell.fraction for job in mine), mine[0].cell.seed
    for job in mine:
        file = out / CELLS / job.key / PREDICTIONS
        if job.cell.fraction == most and job.cell.seed == first and file.is_file():
            with np.load(file, allow_pickle=False) as saved:
                yield f"{job.cell.initialisation}, {WORDS[job.cell.protocol]}", dict(saved)


def _panel(
    title: str, found: dict[str, dict[str, npt.NDArray[np.generic]]], classes: tuple[LabelClass, ...]
) -> Panel:
    """Return a panel of patches that all cells have mapped. Unlabelled pixels are left blank in predictions too."""
    order = list(found)
    ids = [[str(name) for name in found[one]["patch_id"]] for one in order]
    common = [name for name in ids[0] if all(name in other for other in ids)][:ROWS]
    rows = []
    for name in common:
        first = found[order[0]]
        at = ids[0].index(name)
        truth = first["truth"][at].astype(np.uint8)
        maps = [found[one]["prediction"][names.index(name)] for one, names in zip(order, ids, strict=True)]
        blank = [np.where(truth == IGNORE, IGNORE, each).astype(np.uint8) for each in maps]
        rows.append(Row(name, first["rgb"][at].astype(np.uint8), (truth, *blank)))
    return Panel(title, tuple(order), tuple(rows), classes)
