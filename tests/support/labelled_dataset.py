"""A dataset of nine patches, built from a product whose every pixel has a known land cover, with paired labels."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.config import load
from spectralearth_build.dataset.access import open_dataset
from spectralearth_build.labels.define import Given, Request
from spectralearth_build.labels.pair import pair
from spectralearth_build.overlap.lattice import ORIGIN, PIXEL, Box
from spectralearth_build.pipeline import build
from spectralearth_build.split.recipe import FRACTIONS, Recipe, write_splits
from spectralearth_build.synthetic.product import write_product
from spectralearth_build.synthetic.spec import Layers, Layout, ProductSpec

EDGE, CELL = 402, 24
BOX = Box(-183000, 15600, EDGE, EDGE)
CODES = (111, 211, 311, 411, 512)
"""CORINE's level 3: city, fields, forest, marsh, lake."""
PARTS = ("train", "val", "train", "test", "train", "val", "train", "test", "train")
"""Of the patches in order; the third has hardly any class."""


@dataclass(frozen=True)
class Known:
    """The dataset and the truth about it."""

    folder: Path
    raster: Path
    codes: np.ndarray
    """[line, col] of the product's box; 0: no class."""

    def truth(self, location: str) -> np.ndarray:
        """Codes of a location's pixels, [128, 128]."""
        place = open_dataset(self.folder).locations.set_index("location_id").loc[location]
        line, col = -int(place["lattice_row"]) - BOX.line, int(place["lattice_col"]) - BOX.col
        return self.codes[line : line + 128, col : col + 128]


def make(folder: Path) -> Known:
    """Write the product, build, split and pair."""
    random = np.random.default_rng(3)
    codes = land_cover(random)
    write_product_of(folder / "archive", codes, random)
    dataset = folder / "dataset"
    build(folder / "archive", dataset, load(None, {"run.scheduler": "inline"}))
    split(dataset)
    raster = folder / "corine.tif"
    write_raster(raster, codes)
    request = Request("corine", (Given(str(raster)),), "corine19", "nearest", least_labelled=0.3)
    pair(dataset, [request], InlineExecutor())
    return Known(dataset, raster, codes)


def land_cover(random: np.random.Generator) -> np.ndarray:
    """Blocks of one cover each; what covers are frequent changes from north to south. One corner has no class."""
    cells = -(-EDGE // CELL)
    weight = np.linspace(0, 1, cells)[:, None, None] * np.arange(5) + 0.3 * random.gumbel(
        size=(cells, cells, 5)
    )
    blocks = np.array(CODES)[np.abs(weight - 2 * random.random((cells, cells, 1))).argmin(2)]
    codes = np.kron(blocks, np.ones((CELL, CELL), int))[:EDGE, :EDGE]
    codes[:140, :140] = 0
    return codes


def write_product_of(archive: Path, codes: np.ndarray, random: np.random.Generator) -> None:
    """Each cover has a spectrum, under noise of a pixel and light of its own."""
    wave = np.linspace(0, 1, 224)
    spectra = np.stack([1500 + 800 * np.sin((2 + k) * 3 * wave + k) for k in range(6)])
    kind = np.searchsorted((0, *CODES), codes)
    light = random.normal(1, 0.1, codes.shape)
    cube = spectra[kind].transpose(2, 0, 1) * light + random.normal(0, 200, (224, *codes.shape))
    write_product(
        archive, ProductSpec(box=BOX), cube.astype(np.int16), Layers.clear(codes.shape), Layout(block=256)
    )


def write_raster(path: Path, codes: np.ndarray) -> None:
    """The codes on the product's own grid."""
    west, north = ORIGIN + PIXEL * BOX.col, ORIGIN - PIXEL * BOX.line
    place = Affine(PIXEL, 0, west, 0, -PIXEL, north)
    options = {"driver": "GTiff", "height": EDGE, "width": EDGE, "count": 1, "dtype": "int16"}
    with rasterio.open(path, "w", crs="EPSG:32633", transform=place, nodata=0, **options) as file:
        file.write(codes.astype(np.int16), 1)


def split(dataset: Path) -> None:
    """Deal the patches out as `PARTS` says."""
    patches = open_dataset(dataset).patches
    rows = patches[["patch_id", "location_id"]].assign(split=PARTS, reason="")
    write_splits(dataset, rows, Recipe(FRACTIONS))


@pytest.fixture(scope="session")
def labelled_dataset(tmp_path_factory: pytest.TempPathFactory) -> Known:
    """The dataset. Shared: copy before you change it."""
    return make(tmp_path_factory.mktemp("labelled"))
