"""A small archive whose truth is known, builds of it in this process, and ways to compare what they leave."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path

import numpy as np

from spectralearth_build import config as settings
from spectralearth_build.cluster import Executor
from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.overlap.lattice import Box
from spectralearth_build.pipeline import Run, refuse_early
from spectralearth_build.progress import set_quiet
from spectralearth_build.synthetic.product import write_product
from spectralearth_build.synthetic.spec import Layers, Layout, ProductSpec

SIZE = 132
WIDE = 262
"""Width of a tile with room for two windows."""
BASE = ProductSpec(box=Box(-183000, 15600, SIZE, SIZE))
CONFIG = settings.load(None, {"store.shard_rows": 1, "run.scheduler": "inline", "run.check_space": False})
"""The pixels here compress a thousandfold, which no estimate of space expects."""


def spec_of(number: int) -> ProductSpec:
    """A tile of its own datatake, each number at the same place a day later, shifted a little."""
    line, col = number % 3, number % 4
    width = WIDE if number == 1 else SIZE
    return replace(
        BASE,
        datatake=f"DT{number:010}",
        started=BASE.started + timedelta(days=number),
        box=Box(BASE.box.line + line, BASE.box.col + col, SIZE, width),
    )


@cache
def cube_of(number: int) -> np.ndarray:
    """Its pixels, int16 [224, line, col]."""
    box = spec_of(number).box
    line, col = np.ogrid[: box.height, : box.width]
    band = np.arange(224)[:, None, None]
    return (number * 500 + 3 * band + (line * 5 + col * 2) % 97).astype(np.int16)


def write_tile(archive: Path, number: int) -> Path:
    """Write a product; returns its folder."""
    spec = spec_of(number)
    clear = Layers.clear((spec.box.height, spec.box.width))
    return write_product(archive, spec, cube_of(number), clear, Layout(compress="none"))


def image_of(archive: Path, number: int) -> Path:
    """The spectral image of a product."""
    return next((archive / spec_of(number).product_id).glob("*SPECTRAL_IMAGE.TIF"))


def run_stages(
    archive: Path, dataset: Path, executor: Executor | None = None, config: settings.Config = CONFIG
) -> None:
    """Scan, plan, cut and publish: what `build` does before it looks at its own work."""
    run = Run(dataset, config, executor or InlineExecutor())
    set_quiet(True)
    try:
        refuse_early(archive, dataset, config)
        run.scan(archive)
        run.plan()
        run.cut(archive)
    finally:
        set_quiet(False)


def tree(dataset: Path) -> dict[str, str]:
    """SHA-256 of every file of a dataset by path, the work folder apart."""
    return {
        path.relative_to(dataset).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(dataset.rglob("*"))
        if path.is_file() and path.relative_to(dataset).parts[0] != "work"
    }
