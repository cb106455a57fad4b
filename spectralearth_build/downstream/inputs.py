"""Digests of the input data of cells. If an input changes, the cells that read it run again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from spectralearth_build.downstream.grid import CellInputs, weight_files
from spectralearth_build.downstream.grid_config import GridConfig
from spectralearth_build.errors import UsageError
from spectralearth_build.labels.classes import nomenclature
from spectralearth_build.layout import MANIFEST, REFLECTANCE, STATISTICS, STORE, label_of
from spectralearth_build.pretrain.weights_identity import digest_of
from spectralearth_build.reading.byte_source import ByteSource, source_of
from spectralearth_build.store.manifest import Manifest
from spectralearth_build.tables import SPLITS

_PIXELS = f"{STORE}/{REFLECTANCE}/"


def inputs_of(config: GridConfig) -> CellInputs:
    """Return digests of everything that cells read: pixels and labels (from the manifest), splits, weights, classes.

    Raises:
        UsageError: The dataset is unfinished or has no splits, or a class table cannot be used.
    """
    source = source_of(config.dataset)
    files = Manifest.decode(_whole(source, MANIFEST, "Run `build ARCHIVE DATASET` to finish it.")).files
    pixels = {name: entry for name, entry in files.items() if name == STATISTICS or name.startswith(_PIXELS)}
    labels = {
        task.labels: _digest({name: entry for name, entry in files.items() if label_of(name) == task.labels})
        for task in config.tasks
    }
    weights = {name: digest_of(Path(name)) for name in weight_files(config)}
    classes = {name: _of_classes(name) for task in config.tasks if (name := task.nomenclature)}
    splits = hashlib.sha256(_whole(source, SPLITS.file, "Run `split DATASET` to make it.")).hexdigest()
    return CellInputs(_digest({"splits": splits, "pixels": pixels}), labels, weights, classes)


def _of_classes(name: str) -> str:
    return _digest([asdict(each) for each in nomenclature(name).classes])


def _whole(source: ByteSource, name: str, remedy: str) -> bytes:
    try:
        return source.whole(name)
    except FileNotFoundError as error:
        raise UsageError(f"The dataset has no {name}.", source.where(""), remedy) from error


def _digest(document: object) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
