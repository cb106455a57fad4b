"""Small products for the tests of the archive."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from spectralearth_build.overlap.lattice import Box
from spectralearth_build.synthetic.product import Layers, Layout, ProductSpec, write_product

Make = Callable[..., Path]
BOX = Box(-210703, 15569, 40, 130)


@pytest.fixture
def scene() -> Callable[..., tuple[np.ndarray, Layers]]:
    """The function that makes the pixels of a small product."""
    return small_scene


def small_scene(spec: ProductSpec, seed: int = 0) -> tuple[np.ndarray, Layers]:
    """A cube of plausible values with a slanted swath, and layers with a bit of everything."""
    rng = np.random.default_rng(seed)
    height, width = spec.box.height, spec.box.width
    line, col = np.mgrid[:height, :width]
    inside = (col >= line // 5) & (col < width - (height - line) // 5)
    cube = rng.integers(-50, 3000, (224, height, width)).astype(np.int16)
    cube[129:135] = -32768
    cube[:, ~inside] = -32768
    layers = Layers.clear((height, width), inside)
    marks = {
        name: (rng.random((height, width)) < 0.1).astype(np.uint8)
        for name in ("cloud", "shadow", "haze", "snow")
    }
    layers = Layers(
        np.where(inside & (col > width * 3 // 4), np.uint8(2), layers.classes),
        **marks,
        cirrus=rng.integers(0, 4, (height, width)).astype(np.uint8),
        testflags=layers.testflags,
    )
    return cube, layers


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Products that were written already, by what they are."""
    return {"": tmp_path_factory.mktemp("written")}


@pytest.fixture
def make(tmp_path: Path, written: dict[str, Path]) -> Make:
    """Writes a small product below ``tmp_path / "archive"`` (or ``into``) and returns its folder."""

    def write(into: Path | None = None, seed: int = 0, layout: Layout | None = None, **facts: object) -> Path:
        spec, layout = ProductSpec(**{"box": BOX, **facts}), layout or Layout()
        key = repr((spec, layout, seed))
        if key not in written:
            cube, layers = small_scene(spec, seed)
            written[key] = write_product(written[""] / str(len(written)), spec, cube, layers, layout)
        target = (into or tmp_path / "archive") / spec.product_id
        shutil.copytree(written[key], target, dirs_exist_ok=True)
        return target

    return write
