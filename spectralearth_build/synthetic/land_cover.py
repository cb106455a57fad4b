"""Land-cover rasters of the synthetic ground, in the projections and codes of CORINE, CDL and NLCD.

Each raster lies on a grid that is the same for all archives and spans the Earth, so a pixel has one value whatever the
archive. Only what lies around the tiles is filled; the files are sparse. The projections of Europe and of the United
States are used everywhere: far away they are as well defined, and equal in area, but not in shape.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from pyproj import Transformer
from rasterio.errors import RasterioError
from rasterio.io import DatasetWriter
from rasterio.transform import Affine
from rasterio.windows import Window

from spectralearth_build.errors import UsageError
from spectralearth_build.faults import unwritten
from spectralearth_build.files import replacing
from spectralearth_build.overlap.lattice import ORIGIN, PIXEL, Box
from spectralearth_build.overlap.resample import transformer
from spectralearth_build.progress import track
from spectralearth_build.synthetic.cover import Cover, cdl, corine, cover_at, nlcd, tree_cover
from spectralearth_build.synthetic.scene import Scene
from spectralearth_build.tables import TILES

Area = tuple[int, Box]
"""EPSG code of a zone, and a box of its lattice."""
Part = tuple[Window, int]
"""A window of a file, and the CRC-32 of its values."""
Cells = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

CDL_YEARS = (2022, 2023, 2024)
NLCD_YEARS = (2021, 2023)
BLOCK = 2048
"""Edge of the files' blocks, pixels: large, because the index of a file that spans the Earth lists all of them."""
_CELL = 32
"""Edge of the squares that are filled or left empty, pixels."""
_MARGIN = 8
"""Pixels around each tile that are filled."""
_STEP = 3
"""Pixels of a tile between the points that say which squares to fill."""


@dataclass(frozen=True)
class RasterLayer:
    """One file."""

    name: str
    values: Callable[[Cover], npt.NDArray[Any]]
    dtype: str
    nodata: float


@dataclass(frozen=True)
class RasterGrid:
    """Files that share their pixels."""

    epsg: int
    pixel: float
    """Edge of a pixel in units of the projection."""
    layers: tuple[RasterLayer, ...]
    corner: tuple[float, float] = (0.0, 0.0)
    """x and y of a corner of the pixels, from which they are counted."""
    turn: int = 0
    """Columns around the Earth; 0 where columns do not come back."""
    every: int = 1
    """Pixels between those at which the ground is asked; between them the cover is interpolated by cubics."""


GRIDS = (
    RasterGrid(3035, 100, (RasterLayer("corine", corine, "uint8", 255),)),
    RasterGrid(
        5070,
        30,
        (
            *(RasterLayer(f"cdl_{year}", partial(cdl, year=year), "uint8", 0) for year in CDL_YEARS),
            *(RasterLayer(f"nlcd_{year}", partial(nlcd, year=year), "uint8", 0) for year in NLCD_YEARS),
        ),
    ),
    RasterGrid(
        4326,
        0.0001,
        layers=(RasterLayer("tree_cover", tree_cover, "float32", -1),),
        corner=(-180.0, 90.0),
        turn=3_600_000,
        every=2,
    ),
)
"""What is written."""


def land_cover(folder: Path, areas: Iterable[Area], seed: int = 0) -> list[Path]:
    """Write the rasters: corine.tif, cdl_<year>.tif, nlcd_<year>.tif and tree_cover.tif.

    The same bytes for the same arguments; files that are there are replaced, each as a whole.

    Args:
        folder: where to.
        areas: where there are tiles; see `areas_of_dataset`.
        seed: the archive's, which makes its ground.

    Raises:
        UsageError: there are no areas.
        OutOfSpaceError: there is no room; the files that were there stay.
    """
    chosen = sorted(set(areas))
    if not chosen:
        raise UsageError(
            "There are no tiles to make land cover for.", folder, "Give an archive that has tiles."
        )
    return [path for grid in GRIDS for path in _write(folder, grid, chosen, Scene(seed))]


def areas_of_dataset(dataset: Path) -> list[Area]:
    """Where the sound tiles of a dataset lie, from its table of tiles.

    Raises:
        UsageError: it has none; scan writes it.
    """
    columns = ["epsg", "lattice_row", "lattice_col", "height", "width", "eligible"]
    table = TILES.read(dataset, columns)
    rows = table[table["eligible"]][columns[:-1]].astype(int).itertuples(index=False)
    return [(epsg, Box(-row, col, height, width)) for epsg, row, col, height, width in rows]


def _write(folder: Path, grid: RasterGrid, areas: list[Area], scene: Scene) -> list[Path]:
    cells = _cells(grid, areas)
    of_block = cells // (BLOCK // _CELL)
    first, last = of_block.min(axis=0), of_block.max(axis=0) + 1
    paths = [folder / f"{layer.name}.tif" for layer in grid.layers]
    with ExitStack() as stack:
        temporary = [stack.enter_context(replacing(path)) for path in paths]
        written: list[list[Part]] = []
        with ExitStack() as open_files:
            open_files.enter_context(rasterio.Env(GDAL_PAM_ENABLED="NO"))
            targets = [
                open_files.enter_context(_opened(path, grid, layer, first * BLOCK, last * BLOCK))
                for path, layer in zip(temporary, grid.layers, strict=True)
            ]
            blocks = np.unique(of_block, axis=0)
            for block in track(blocks, f"land cover {grid.epsg}", len(blocks)):
                inside = cells[(of_block == block).all(axis=1)] * _CELL
                box = Box(*(int(v) for v in (*inside.min(axis=0), *(np.ptp(inside, axis=0) + _CELL))))
                written.append(_fill(targets, grid, box, first * BLOCK, scene))
        for path, parts in zip(temporary, zip(*written, strict=True), strict=True):
            if not _holds(path, parts):  # GDAL does not say all that goes wrong when it closes a file
                raise unwritten(path)
    return paths


def _opened(path: Path, grid: RasterGrid, layer: RasterLayer, first: Cells, stop: Cells) -> DatasetWriter:
    (line, col), pixel = first, grid.pixel
    height, width = (int(v) for v in stop - first)
    return rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=height,
        width=min(width, grid.turn - int(col)) if grid.turn else width,
        count=1,
        dtype=layer.dtype,
        nodata=layer.nodata,
        crs=f"EPSG:{grid.epsg}",
        transform=Affine(pixel, 0, grid.corner[0] + pixel * col, 0, -pixel, grid.corner[1] - pixel * line),
        compress="deflate",
        zlevel=1,
        tiled=True,
        blockxsize=BLOCK,
        blockysize=BLOCK,
        sparse_ok=True,
        bigtiff="yes",
    )


def _fill(targets: list[DatasetWriter], grid: RasterGrid, box: Box, first: Cells, scene: Scene) -> list[Part]:
    """Write a box of the grid into all files; returns what each of them must hold."""
    parts = []
    cover = _interpolated(grid, box, scene) if grid.every > 1 else _cover(grid, box, 1, scene)
    for target, layer in zip(targets, grid.layers, strict=True):
        width = min(box.width, target.width - (box.col - int(first[1])))
        window = Window(box.col - int(first[1]), box.line - int(first[0]), width, box.height)
        values = np.ascontiguousarray(layer.values(cover)[:, :width].astype(layer.dtype))
        target.write(values, 1, window=window)
        parts.append((window, zlib.crc32(values.tobytes())))
    return parts


def _holds(path: Path, parts: Iterable[Part]) -> bool:
    """Whether a raster can be read, and has the values that were written to it."""
    try:
        with rasterio.open(path) as source:
            return all(
                zlib.crc32(source.read(1, window=window).tobytes()) == total for window, total in parts
            )
    except RasterioError:
        return False


def _cover(grid: RasterGrid, box: Box, every: int, scene: Scene) -> Cover:
    """The cover at the centres of pixels; of squares of every x every pixels, if ``box`` counts those."""
    step = grid.pixel * every
    x = grid.corner[0] + step * (np.arange(box.col, box.stop_col) + 0.5)
    y = grid.corner[1] - step * (np.arange(box.line, box.stop_line) + 0.5)
    places = np.meshgrid(x, y)
    return cover_at(
        scene, *(places if grid.epsg == 4326 else transformer(grid.epsg, 4326).transform(*places))
    )


def _interpolated(grid: RasterGrid, box: Box, scene: Scene) -> Cover:
    """The cover from squares of pixels, whose four neighbours along each axis make a cubic."""
    every = grid.every
    squares = Box(*(v // every for v in (box.line, box.col, box.height, box.width))).grown(2)
    return Cover(*(_cubic(_cubic(field, every).T, every).T for field in _cover(grid, squares, every, scene)))


def _cubic(values: npt.NDArray[np.float32], every: int) -> npt.NDArray[np.float32]:
    """Values between knots, ``every`` in each interval around a knot, without the two outer knots on each side."""
    at = (np.arange(every) + 0.5) / every - 0.5  # from the knot, in intervals
    out = np.empty((values.shape[0] - 4, every, *values.shape[1:]), np.float32)
    for k, offset in enumerate(at):
        start = 1 if offset >= 0 else 0  # of the four knots, the second is the one before the place
        t = offset % 1
        weights = (-t * (t - 1) * (t - 2) / 6, (t + 1) * (t - 1) * (t - 2) / 2,
                   -(t + 1) * t * (t - 2) / 2, (t + 1) * t * (t - 1) / 6)  # fmt: skip
        out[:, k] = sum(
            np.float32(weight) * values[start + n : start + n + len(out)] for n, weight in enumerate(weights)
        )
    return out.reshape(-1, *values.shape[1:])


def _cells(grid: RasterGrid, areas: list[Area]) -> Cells:
    """The squares of `_CELL` pixels that lie in areas or beside them: line and column [n, 2], sorted."""
    found = np.unique(np.concatenate([_touched(grid, area) for area in areas]), axis=0)
    around = np.stack(np.meshgrid((-1, 0, 1), (-1, 0, 1)), axis=-1).reshape(-1, 1, 2)
    wider = (found + around).reshape(-1, 2)
    if grid.turn:
        wider[:, 1] %= grid.turn // _CELL
    return np.unique(wider, axis=0)


def _touched(grid: RasterGrid, area: Area) -> Cells:
    """The squares that points of an area lie in."""
    epsg, box = area
    wide = box.grown(_MARGIN)
    x = ORIGIN + PIXEL * np.arange(wide.col, wide.stop_col + _STEP, _STEP)
    y = ORIGIN - PIXEL * np.arange(wide.line, wide.stop_line + _STEP, _STEP)
    to: Transformer = transformer(epsg, grid.epsg)
    east, north = to.transform(*np.meshgrid(x, y))
    size = grid.pixel * _CELL
    place = np.stack([(grid.corner[1] - north) / size, (east - grid.corner[0]) / size], axis=-1).reshape(
        -1, 2
    )
    return np.unique(np.floor(place[np.isfinite(place).all(axis=1)]).astype(np.int64), axis=0)
