"""Small archives whose truth is known, and builds of them in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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
CHOSEN = {"store.shard_rows": 1, "run.scheduler": "inline", "run.check_space": False}
"""The pixels here compress a thousandfold, which no estimate of space expects."""
CONFIG = settings.load(None, CHOSEN)
NOISE_SIZE = 140


def spec_of(number: int, *, wide: int = WIDE, years: int = 0, version: str = BASE.version) -> ProductSpec:
    """A tile of its own datatake, each number at the same place a day later, shifted a little; tile 1 is wide."""
    line, col = number % 3, number % 4
    return replace(
        BASE,
        version=version,
        datatake=f"DT{number:010}",
        started=BASE.started + timedelta(days=number + 365 * years),
        box=Box(BASE.box.line + line, BASE.box.col + col, SIZE, wide if number == 1 else SIZE),
    )


@cache
def cube_of(number: int, wide: int = WIDE) -> np.ndarray:
    """Its pixels, int16 [224, line, col]."""
    line, col = np.ogrid[:SIZE, : wide if number == 1 else SIZE]
    band = np.arange(224)[:, None, None]
    return (number * 500 + 3 * band + (line * 5 + col * 2) % 97).astype(np.int16)


def write_tile(
    archive: Path,
    number: int,
    *,
    wide: int = WIDE,
    years: int = 0,
    version: str = BASE.version,
    compress: str = "none",
) -> Path:
    """Write a product; returns its folder."""
    spec, cube = spec_of(number, wide=wide, years=years, version=version), cube_of(number, wide)
    return write_product(archive, spec, cube, Layers.clear(cube.shape[1:]), Layout(compress=compress))


def write_noise_tile(archive: Path, number: int, shift: tuple[int, int] = (0, 0)) -> Path:
    """A cloudless product of noise, 140 pixels wide and high, ``shift`` (lines, columns) beside the first."""
    line, col = shift
    spec = replace(
        BASE,
        datatake=f"DT{number:010}",
        started=BASE.started + timedelta(days=number),
        box=Box(BASE.box.line + line, BASE.box.col + col, NOISE_SIZE, NOISE_SIZE),
    )
    random = np.random.default_rng(number)
    ground = random.integers(500, 4000, (1, NOISE_SIZE, NOISE_SIZE))
    cube = (ground + random.integers(-40, 40, (224, NOISE_SIZE, NOISE_SIZE))).astype(np.int16)
    return write_product(archive, spec, cube, Layers.clear(cube.shape[1:]), Layout(block=64))


def archive_of(folder: Path, *numbers: int) -> Path:
    """Write products of these numbers; returns ``folder``."""
    for number in numbers:
        write_tile(folder, number)
    return folder


def image_of(archive: Path, number: int) -> Path:
    """The spectral image of a product."""
    return next((archive / spec_of(number).product_id).glob("*SPECTRAL_IMAGE.TIF"))


@contextmanager
def quiet() -> Iterator[None]:
    """Without progress on standard error."""
    set_quiet(True)
    try:
        yield
    finally:
        set_quiet(False)


def run_stages(
    archive: Path, dataset: Path, executor: Executor | None = None, config: settings.Config = CONFIG
) -> Path:
    """Scan, plan, cut and publish: what `build` does before it looks at its own work; returns ``dataset``."""
    run = Run(dataset, config, executor or InlineExecutor())
    with quiet():
        refuse_early(archive, dataset, config)
        run.scan(archive)
        run.plan()
        run.cut(archive)
    return dataset
