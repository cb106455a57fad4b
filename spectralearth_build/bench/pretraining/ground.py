"""The data of `bench learn`: a synthetic archive, whose patches are cut into cells of known land cover."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from spectralearth_build.config import load
from spectralearth_build.dataset.access import open_dataset
from spectralearth_build.layout import ROOT
from spectralearth_build.loader import Loader
from spectralearth_build.overlap.lattice import WINDOW, Box, window_of
from spectralearth_build.pipeline import build
from spectralearth_build.pretrain.prefetch import place_number
from spectralearth_build.pretrain.setup import spectra_of
from spectralearth_build.pretrain.spectra import Standardise
from spectralearth_build.synthetic.archive import ArchiveOptions, synthesize
from spectralearth_build.synthetic.render import lonlat
from spectralearth_build.synthetic.scene import Scene

TILES, EDGE = 48, 560
"""Number of tiles of the archive, and edge of a tile in pixels."""
CELL = 32
"""Edge of a cell in pixels."""
COARSE = 2
"""Cells are evaluated at half their resolution, about that of the views in training."""
_EVERY = 4
"""The land cover of a cell is sampled at every fourth line and column."""


def dataset_of(work: Path, seed: int = 0) -> Path:
    """Build a dataset from synthetic tiles unless it exists, and return its folder."""
    dataset = work / f"learn-{seed}"
    if not (dataset / ROOT).is_file():
        archive = work / f"learn-archive-{seed}"
        synthesize(archive, ArchiveOptions("random", TILES, seed, EDGE, clouds=False))
        build(archive, dataset, load())
    return dataset


@dataclass(frozen=True)
class Cells:
    """One patch per location, of any season, cut into cells. Half of the locations are known, the others held out."""

    pixels: Tensor
    """Standardised, float16 [cell, band, y, x]."""
    labels: Tensor
    """Label of each cell, int64 [cell]; see `land_cover`."""
    held: Tensor
    """Whether a cell is held out, bool [cell]."""


def cells_of(dataset: Path, seed: int = 0) -> Cells:
    """Read the cells of a dataset made by `dataset_of`."""
    locations = open_dataset(dataset).locations
    cover = dict(zip(locations["location_id"], land_cover(locations, seed), strict=True))
    standardise, pixels, names = Standardise(spectra_of(dataset)), [], []
    for batch in Loader(dataset, 32, dates=1, shuffle=False):
        values = avg_pool2d(standardise(batch["pixels"][:, 0]), COARSE)
        pixels.append(_cut(values).to(torch.float16))
        names += batch["location"]
    labels = torch.from_numpy(np.concatenate([cover[name] for name in names]))
    held = torch.tensor([place_number(name) % 2 == 0 for name in names])
    return Cells(torch.cat(pixels), labels, held.repeat_interleave(len(labels) // len(names)))


def land_cover(locations: pd.DataFrame, seed: int) -> npt.NDArray[np.int64]:
    """Return the label of each cell, int64 [location, cell]: plants (0), soil, water or built-up land.

    It is the cover with the largest share relative to other cells. It describes the ground, independent of season.
    """
    scene = Scene(seed)
    boxes = zip(*(locations[name] for name in ("epsg", "lattice_row", "lattice_col")), strict=True)
    shares = np.stack([_shares(scene, epsg, window_of(row, col)) for epsg, row, col in boxes])
    standard = (shares - shares.mean((0, 2), keepdims=True)) / shares.std((0, 2), keepdims=True)
    return np.asarray(standard.argmax(1), np.int64)


def _shares(scene: Scene, epsg: int, box: Box) -> npt.NDArray[np.float32]:
    """Return the shares of the four kinds of cover in the cells of a box, [kind, cell], with cells line by line."""
    thin = slice(_EVERY // 2, None, _EVERY)
    lon, lat = (each[thin, thin] for each in lonlat(box, epsg))
    covers, _ = scene.cover(lon, lat)
    side, fine = WINDOW // CELL, CELL // _EVERY
    means = covers.reshape(len(covers), side, fine, side, fine).mean((2, 4))
    return np.asarray(means.reshape(len(covers), -1), np.float32)


def _cut(images: Tensor) -> Tensor:
    """Cut [patch, band, y, x] into cells [patch * cell, band, y, x], line by line."""
    edge = CELL // COARSE
    rows = images.unfold(2, edge, edge).unfold(3, edge, edge)  # [patch, band, line, column, y, x]
    return rows.permute(0, 2, 3, 1, 4, 5).flatten(0, 2)
