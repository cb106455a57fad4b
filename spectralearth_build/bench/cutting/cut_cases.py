"""Tiles to cut: the same pixels in several file layouts, as a product with a mask and a plan of windows."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from spectralearth_build import mask as masks
from spectralearth_build.archive.bands import BANDS, select_bands
from spectralearth_build.archive.raster import open_raster
from spectralearth_build.cutting.task import TileTask
from spectralearth_build.errors import UsageError
from spectralearth_build.layout import mask_name
from spectralearth_build.overlap.lattice import NODATA, WINDOW, Box, window
from spectralearth_build.store.planned_patches import PlannedPatch
from spectralearth_build.store.planned_tiles import SourceTile
from spectralearth_build.synthetic.archive import ArchiveOptions, plan_archive
from spectralearth_build.synthetic.band_sets import band_set
from spectralearth_build.synthetic.product import write_raster
from spectralearth_build.synthetic.render import render
from spectralearth_build.synthetic.scene import Scene
from spectralearth_build.synthetic.sky import Sky
from spectralearth_build.synthetic.spec import Layout, ProductSpec

LAYOUTS: dict[str, dict[str, object]] = {
    "strips of 3 lines, deflate": {"compress": "deflate", "zlevel": 6, "blockysize": 3},
    "strips of 3 lines, lzw, predictor 2": {"compress": "lzw", "predictor": 2, "blockysize": 3},
    "strips of 3 lines, none": {"blockysize": 3},
    "blocks of 512, deflate": {"compress": "deflate", "zlevel": 6},
    "blocks of 512, zstd, predictor 2": {"compress": "zstd", "predictor": 2},
    "lines of pixels, none": {"interleave": "pixel", "blockysize": 1},
    "pixels in blocks of 512, deflate": {"interleave": "pixel", "compress": "deflate", "zlevel": 6},
}
"""File layouts by name, interleaved by band unless the name says by pixel."""
SHARD_ROWS = 16
_CLOUDLESS = 0.0
_BLOCK = 512

Cube = npt.NDArray[np.int16]


@dataclass(frozen=True)
class TileData:
    """A tile before it is written."""

    spec: ProductSpec
    cube: Cube
    """int16 [band, line, col]."""
    index: npt.NDArray[np.int32]
    """0-based kept bands."""


@dataclass(frozen=True)
class CutCase:
    """A product to cut."""

    name: str
    archive: Path
    dataset: Path
    task: TileTask
    image: Path

    @property
    def patches(self) -> list[PlannedPatch]:
        """All patches in order."""
        return [patch for group in self.task.shards.values() for patch in group]

    @property
    def source(self) -> SourceTile:
        """The tile."""
        return self.task.sources[self.task.tile_id]


def synthetic_tile(edge: int, seed: int) -> TileData:
    """Return a cloudless synthetic tile of about ``edge`` lines and columns. Real tiles have 1240."""
    task = plan_archive(ArchiveOptions(tiles=1, size=edge, seed=seed))[0]
    spec, bands = task.spec, band_set(task.spec.band_set)
    sky = Sky((seed,), _CLOUDLESS, spec.sun_elevation, spec.sun_azimuth)
    cube, _ = render(Scene(seed), sky, spec, task.footprint.inside())
    index = select_bands(bands.wavelength_nm, bands.fwhm_nm, bands.detector.tolist(), 1.0).index
    return TileData(spec, cube, index)


def cases(tile: TileData, codec: str, folder: Path) -> Iterator[CutCase]:
    """Yield the tile in each of `LAYOUTS`, one by one at the same path."""
    for name, profile in LAYOUTS.items():
        blocks = Layout(block=_BLOCK if "blocks" in name else 0, compress="none")
        image = _image(folder, tile.spec)
        write_raster(image, tile.spec, tile.cube, blocks, nodata=NODATA, **profile)
        yield _case(name, folder, image=image, spec=tile.spec, cube=tile.cube, index=tile.index, codec=codec)
        shutil.rmtree(folder)


def image_case(path: Path, codec: str, folder: Path) -> CutCase:
    """Return a case for an unchanged image, with its first 202 bands that have data.

    Raises:
        UsageError: The image has fewer such bands, or no window without gaps.
    """
    with open_raster(path) as image:
        cube = image.read()
    index = np.flatnonzero((cube != NODATA).any(axis=(1, 2)))[:BANDS].astype(np.int32)
    if cube.dtype != np.int16 or len(index) < BANDS:
        raise UsageError(f"The image must have {BANDS} bands of int16.", path, "Give another --image.")
    default = ProductSpec().box
    spec = ProductSpec(box=Box(default.line, default.col, *cube.shape[1:]))
    target = _image(folder, spec)
    shutil.copyfile(path, target)
    return _case(
        f"image {path.stem.removesuffix('-SPECTRAL_IMAGE')[-19:]}",
        folder,
        image=target,
        spec=spec,
        cube=cube,
        index=index,
        codec=codec,
    )


def _image(folder: Path, spec: ProductSpec) -> Path:
    product = folder / "archive" / spec.product_id
    product.mkdir(parents=True)
    return product / Layout().name(spec.product_id, "SPECTRAL_IMAGE")


def _case(
    name: str,
    folder: Path,
    image: Path,
    spec: ProductSpec,
    cube: Cube,
    index: npt.NDArray[np.int32],
    codec: str,
) -> CutCase:
    valid = np.ones(cube.shape[1:], bool)
    for band in index:
        valid &= cube[band] != NODATA
    none, zero = np.zeros_like(valid), np.zeros(valid.shape, np.uint8)
    mask, dataset = mask_name(spec.product_id), folder / "dataset"
    masks.save(
        dataset / mask, masks.encode(valid, none, shadow=none, haze=none, cirrus=zero, snow=none, water=none)
    )
    bands = tuple(int(band) for band in index)
    source = SourceTile(
        spec.tile_id, spec.product_id, mask=mask, epsg=spec.epsg, box=spec.box, band_index=bands
    )
    places = list(_windows(valid))
    if not places:
        raise UsageError("The image has no window without gaps.", image, "Give another --image.")
    patches = [
        PlannedPatch(
            f"p{row}", row, spec.epsg, window(spec.box.line + line, spec.box.col + col), (spec.tile_id,)
        )
        for row, (line, col) in enumerate(places)
    ]
    groups = [tuple(patches[first : first + SHARD_ROWS]) for first in range(0, len(patches), SHARD_ROWS)]
    plans, shards = dict.fromkeys(range(len(groups)), "bench"), dict(enumerate(groups))
    task = TileTask(
        plans,
        codec,
        shard_rows=SHARD_ROWS,
        tile_id=spec.tile_id,
        sources={spec.tile_id: source},
        shards=shards,
    )
    return CutCase(name, folder / "archive", dataset, task, image)


def _windows(valid: npt.NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Yield windows without gaps, side by side in rows."""
    for line in range(0, valid.shape[0] - WINDOW + 1, WINDOW):
        whole, col = np.asarray(valid[line : line + WINDOW].all(axis=0)), 0
        while col + WINDOW <= len(whole):
            if whole[col : col + WINDOW].all():
                yield line, col
                col += WINDOW
            else:
                col += 1
