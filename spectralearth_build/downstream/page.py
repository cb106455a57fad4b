"""The HTML page of a comparison, and its other output files: tables, plots, and all results as Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from spectralearth_build.downstream import pictures, prediction_maps, result_tables
from spectralearth_build.downstream.grid import CellJob, GridCell, slug
from spectralearth_build.downstream.grid_config import GridConfig
from spectralearth_build.downstream.pictures import Data
from spectralearth_build.downstream.results import collect, curves, shown
from spectralearth_build.errors import printable
from spectralearth_build.files import remove, replacing, write_bytes
from spectralearth_build.labels.classes import LabelClass
from spectralearth_build.labels.read import open_labels
from spectralearth_build.report.key_figures import flat
from spectralearth_build.version import __version__

PAGE, TABLES, PICTURES = "downstream.html", "tables.md", "pictures"
RESULTS, CURVES = "results.parquet", "curves.parquet"
LIBRARIES = ("torch", "numpy", "pandas")


Classes = dict[str, tuple[LabelClass, ...]]


def write(
    config: GridConfig, cells: Sequence[CellJob], out: Path, classes: Classes, separation: Sequence[str] = ()
) -> tuple[pd.DataFrame, list[Path]]:
    """Write results.parquet, curves.parquet, tables.md, plots and downstream.html from the finished cells.

    Plots of an earlier configuration are removed.

    Args:
        config: the settings of the comparison.
        cells: all cells, from `run.planned`.
        out: output folder.
        classes: the classes of each task, from `classes_of`.
        separation: sentences of `separation.told`.

    Returns:
        The results, one row per cell, and the paths of the files.
    """
    results, history = collect(cells, out), curves(cells, out)
    metrics = {task.name: task.shown for task in config.tasks}
    data = Data(config, shown(results, metrics), history)
    panels = list(prediction_maps.panels(config, cells, out, classes))
    kinds = pictures.kinds(data)
    written = [_parquet(results, out / RESULTS), _parquet(history, out / CURVES)]
    written += [pictures.save(kind, config, out / PICTURES / f"{slug(kind.heading)}.png") for kind in kinds]
    written += [
        prediction_maps.save(panel, out / PICTURES / f"maps-{slug(panel.title)}.png") for panel in panels
    ]
    _forget(out / PICTURES, written)
    sheets = result_tables.sheets(config, results)
    details = [result_tables.details(results, task.name) for task in config.tasks]
    write_bytes(out / TABLES, _markdown(config, [*sheets, *details]).encode())
    settings = flat(config.model_dump(mode="json", exclude_defaults=True))
    parts = _head(config, results) | {
        "separation": separation,
        "sheets": sheets,
        "details": details,
        "kinds": [(kind, [chart.svg() for chart in kind.charts]) for kind in kinds],
        "maps": [prediction_maps.for_page(panel) for panel in panels],
        "origin": [("Settings", settings), ("Versions", _versions())],
    }
    write_bytes(out / PAGE, render(parts).encode())
    return results, [*written, out / TABLES, out / PAGE]


def render(parts: dict[str, Any]) -> str:
    """Render the page as HTML."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("spectralearth_build.downstream", "."),
                             PackageLoader("spectralearth_build.report", ".")]),
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["n"] = "{:,.0f}".format
    return environment.get_template("template.html.j2").render(parts)


def classes_of(config: GridConfig) -> Classes:
    """Return the classes of each task.

    Raises:
        UsageError: The dataset has no such labels, or the class table does not exist.
    """
    return {
        task.name: open_labels(config.dataset, task.labels, task.nomenclature or None).classes
        for task in config.tasks
    }


def _forget(folder: Path, written: Sequence[Path]) -> None:
    """Remove plots of earlier runs that were not written this time, since they are out of date."""
    for path in sorted({*folder.glob("*.png")}.difference(written)):
        if path.is_file():
            remove(path)


def _head(config: GridConfig, results: pd.DataFrame) -> dict[str, Any]:
    failed = results[results["status"] == "failed"]
    notes = results["notes"].str.split("; ").explode()
    return {
        "title": printable(config.title),
        "cells": len(results),
        "done": int((results["status"] == "done").sum()),
        "missing": int((results["status"] == "missing").sum()),
        "failed": [(_name(row), row.error_class, printable(row.message, 600)) for row in failed.itertuples()],
        "tasks": [task.name for task in config.tasks],
        "encoders": [encoder.name for encoder in config.encoders],
        "seeds": results["seed"].nunique(),
        "colours": pictures.colours(config),
        "hours": f"{results['seconds'].sum() / 3600:.1f}",
        "published": list(dict.fromkeys(row.source for row in config.published)),
        "notes": [(note, count) for note, count in notes[notes != ""].value_counts().items()],
    }


def _name(row: Any) -> str:  # noqa: ANN401
    return GridCell(
        row.task,
        row.encoder,
        initialisation=row.initialisation,
        protocol=row.protocol,
        fraction=row.fraction,
        seed=row.seed,
    ).name


def _markdown(config: GridConfig, sheets: Sequence[result_tables.Sheet]) -> str:
    sources = "; ".join(dict.fromkeys(row.source for row in config.published))
    note = (
        f"Published by others, for reference: {sources}." if sources else "No published numbers are listed."
    )
    about = f"Percent on test, mean ± standard deviation over seeds (their number). {note}"
    parts = [
        f"# {config.title}",
        about,
        *(text for sheet in sheets for text in (f"## {sheet.title}", sheet.markdown())),
    ]
    return "\n\n".join(parts) + "\n"


def _versions() -> list[tuple[str, str]]:
    return [("spectralearth-build", __version__), *((name, version(name)) for name in LIBRARIES)]


def _parquet(frame: pd.DataFrame, path: Path) -> Path:
    with replacing(path) as temporary:
        frame.to_parquet(temporary, index=False)
    return path
