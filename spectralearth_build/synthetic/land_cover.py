"""Land-cover rasters of the synthetic ground, in the projections and codes of CORINE, CDL and NLCD.

Each raster is on a grid that is the same for all archives and spans the Earth, so a pixel has the same value in all
archives. Only the area around the tiles is filled; the files are sparse. The projections for Europe and the United
States are used everywhere: far from there, they are still well defined and equal-area, but distort shapes.
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
from spectralearth_build.overlap.lattice import Box, box_of, easting, northing
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
"""Edge of the files' blocks, pixels; large, because the index of a file that spans the Earth lists all blocks."""
_CELL = 32
"""Edge, pixels, of the squares that are either filled or left empty."""
_MARGIN = 8
"""Margin, pixels, around each tile that is filled."""
_STEP = 3
"""Distance, pixels of a tile, between the points that determine which squares to fill."""


@dataclass(frozen=True)
class RasterLayer:
    """A file to write."""

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
    """x and y of the corner from which pixels are counted."""
    turn: int = 0
    """Number of columns around the Earth; 0 if columns do not wrap around."""
    every: int = 1
    """Step, pixels, at which the ground is evaluated; between them, the cover is interpolated by cubics."""


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
"""The files to write, by grid."""


def land_cover(folder: Path, areas: Iterable[Area], seed: int = 0) -> list[Path]:
    """Write the rasters: corine.tif, cdl_<year>.tif, nlcd_<year>.tif and tree_cover.tif.

    The same arguments give the same bytes. Existing files are replaced atomically.

    Args:
        folder: folder to write to.
        areas: areas of the tiles; see `areas_of_dataset`.
        seed: seed of the archive, which determines its ground.

    Raises:
        UsageError: there are no areas.
        OutOfSpaceError: the disk is full; existing files stay.
    """
    chosen = sorted(set(areas))
    if not chosen:
        raise UsageError(
            "There are no tiles to make land cover for.", folder, "Give an archive that has tiles."
        )
    return [path for grid in GRIDS for path in _write(folder, grid, chosen, Scene(seed))]


def areas_of_dataset(dataset: Path) -> list[Area]:
    """Areas of the sound tiles of a dataset, from its tile table.

    Raises:
        UsageError: it has no tile table, which scan writes.
    """
    table = TILES.read(dataset, ["epsg", "lattice_row", "lattice_col", "height", "width", "eligible"])
    return [(int(tile["epsg"]), box_of(tile)) for tile in table[table["eligible"]].to_dict("records")]


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
            if not _holds(path, parts):  # GDAL does not report all errors on closing a file
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
    """Write a box of the grid into all files; returns the window and checksum of each file."""
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
    """Whether a raster can be read and has the values that were written to it."""
    try:
        with rasterio.open(path) as source:
            return all(
                zlib.crc32(source.read(1, window=window).tobytes()) == total for window, total in parts
            )
    except RasterioError:
        return False


def _cover(grid: RasterGrid, box: Box, every: int, scene: Scene) -> Cover:
    """The cover at the centres of squares of ``every`` x ``every`` pixels; ``box`` is in units of these squares."""
    step = grid.pixel * every
    x = grid.corner[0] + step * (np.arange(box.col, box.stop_col) + 0.5)
    y = grid.corner[1] - step * (np.arange(box.line, box.stop_line) + 0.5)
    places = np.meshgrid(x, y)
    return cover_at(
        scene, *(places if grid.epsg == 4326 else transformer(grid.epsg, 4326).transform(*places))
    )


def _interpolated(grid: RasterGrid, box: Box, scene: Scene) -> Cover:
    """The cover interpolated from squares of pixels, by cubics through four neighbours along each axis."""
    every = grid.every
    squares = Box(*(v // every for v in (box.line, box.col, box.height, box.width))).grown(2)
    return Cover(*(_cubic(_cubic(field, every).T, every).T for field in _cover(grid, squares, every, scene)))


def _cubic(values: npt.NDArray[np.float32], every: int) -> npt.NDArray[np.float32]:
    """Interpolate ``every`` values in the interval around each knot, without the two outer knots on each side."""
    at = (np.arange(every) + 0.5) / every - 0.5  # distance from the knot, in intervals
    out = np.empty((values.shape[0] - 4, every, *values.shape[1:]), np.float32)
    for k, offset in enumerate(at):
        start = 1 if offset >= 0 else 0  # of the four knots, the second is just before the position
        t = offset % 1
        weights = (-t * (t - 1) * (t - 2) / 6, (t + 1) * (t - 1) * (t - 2) / 2,
                   -(t + 1) * t * (t - 2) / 2, (t + 1) * t * (t - 1) / 6)  # fmt: skip
        out[:, k] = sum(
            np.float32(weight) * values[start + n : start + n + len(out)] for n, weight in enumerate(weights)
        )
    return out.reshape(-1, *values.shape[1:])


def _cells(grid: RasterGrid, areas: list[Area]) -> Cells:
    """The squares of `_CELL` pixels in or next to areas: line and column [n, 2], sorted."""
    found = np.unique(np.concatenate([_touched(grid, area) for area in areas]), axis=0)
    around = np.stack(np.meshgrid((-1, 0, 1), (-1, 0, 1)), axis=-1).reshape(-1, 1, 2)
    wider = (found + around).reshape(-1, 2)
    if grid.turn:
        wider[:, 1] %= grid.turn // _CELL
    return np.unique(wider, axis=0)


def _touched(grid: RasterGrid, area: Area) -> Cells:
    """The squares that contain points of an area."""
    epsg, box = area
    wide = box.grown(_MARGIN)
    x = easting(np.arange(wide.col, wide.stop_col + _STEP, _STEP))
    y = northing(np.arange(wide.line, wide.stop_line + _STEP, _STEP))
    to: Transformer = transformer(epsg, grid.epsg)
    east, north = to.transform(*np.meshgrid(x, y))
    size = grid.pixel * _CELL
    place = np.stack([(grid.corner[1] - north) / size, (east - grid.corner[0]) / size], axis=-1).reshape(
        -1, 2
    )
    return np.unique(np.floor(place[np.isfinite(place).all(axis=1)]).astype(np.int64), axis=0)
