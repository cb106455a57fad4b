"""A tiny archive, and a way to compare dataset folders."""

import hashlib
from dataclasses import replace
from datetime import timedelta

import numpy as np

from spectralearth_build.overlap.lattice import Box
from spectralearth_build.synthetic.product import write_product
from spectralearth_build.synthetic.spec import Layers, Layout, ProductSpec

SIZE = 140
BASE = ProductSpec(box=Box(-183000, 15600, SIZE, SIZE))


def write_tile(folder, number, shift=(0, 0)):
    """A cloudless product of noise: its own datatake, ``shift`` (lines, columns) beside the first."""
    line, col = shift
    spec = replace(
        BASE,
        datatake=f"DT{number:010}",
        started=BASE.started + timedelta(days=number),
        box=replace(BASE.box, line=BASE.box.line + line, col=BASE.box.col + col),
    )
    random = np.random.default_rng(number)
    ground = random.integers(500, 4000, (1, SIZE, SIZE))
    cube = (ground + random.integers(-40, 40, (224, SIZE, SIZE))).astype(np.int16)
    return write_product(folder, spec, cube, Layers.clear((SIZE, SIZE)), Layout(block=64))


def tree(folder, but=("work",)):
    """SHA-256 of every file below ``folder`` by path, without what may differ between runs."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).parts[0] not in but
    }
