"""The cost of the validity step with full-resolution masks (clouds), compared with footprints only.

Masks are made directly, without products: filled footprints with the clouds, shadows, haze and cirrus of
`synthetic.sky`. Their edges are smooth down to a few pixels. Masks with more specks would cost more.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import ndimage

from spectralearth_build import mask as masks
from spectralearth_build.bench.measure import timed
from spectralearth_build.bench.planning.contest import rehearsal
from spectralearth_build.bench.planning.scale import ARCHIVE
from spectralearth_build.bench.show import table
from spectralearth_build.config import QualityConfig
from spectralearth_build.overlap.graph import components
from spectralearth_build.overlap.lattice import easting, northing
from spectralearth_build.overlap.polygon import region_of_footprint
from spectralearth_build.overlap.resample import transformer
from spectralearth_build.overlap.view import Tile
from spectralearth_build.plan.component import ComponentOnLattice, on_each_lattice
from spectralearth_build.plan.tasks import tiles_of
from spectralearth_build.progress import track
from spectralearth_build.synthetic.sky import Sky, Veil

STEP = 4
"""Distance in pixels of the points at which the sky is computed. It is interpolated between them."""


def mask_of(tile: Tile, seed: int) -> masks.Mask:
    """Return a mask [line, col] of a tile, the same for the same arguments. Tiles of a datatake share their weather."""
    number = int(tile.datatake.removeprefix("DT"))
    cover = float(np.random.default_rng([seed, number]).beta(0.5, 1.5))
    veil = _fine(Sky((seed, number), cover).veil(*_coarse_lonlat(tile)), (tile.box.height, tile.box.width))
    valid = region_of_footprint(tile.footprint, tile.epsg).to_mask(tile.box)
    none = np.zeros_like(valid)
    cloud, shadow, haze = (layer > 0 for layer in veil.flags)
    return masks.encode(valid, cloud, shadow=shadow, haze=haze, cirrus=veil.cirrus, snow=none, water=none)


def _coarse_lonlat(tile: Tile) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    lines = np.arange(0, tile.box.height + STEP, STEP) + tile.box.line
    cols = np.arange(0, tile.box.width + STEP, STEP) + tile.box.col
    x, y = np.meshgrid(easting(cols + 0.5), northing(lines + 0.5))
    lon, lat = transformer(tile.epsg, 4326).transform(x, y)
    return np.asarray(lon), np.asarray(lat)


def _fine(veil: Veil, shape: tuple[int, int]) -> Veil:
    height, width = shape
    at = np.meshgrid(np.arange(height) / STEP, np.arange(width) / STEP, indexing="ij")

    def zoomed(layer: npt.NDArray[Any], order: int) -> npt.NDArray[Any]:
        return np.asarray(ndimage.map_coordinates(layer, at, order=order))

    return Veil(zoomed(veil.opacity, 1), zoomed(veil.shade, 1), zoomed(veil.haze, 1), zoomed(veil.cirrus, 0))


def validity(tiles: gpd.GeoDataFrame, seed: int) -> pd.DataFrame:
    """Time the validity step on whole components, for all tiles.

    Args:
        tiles: `tables.TILES`, with footprints only.
        seed: random seed of the weather.

    Returns:
        One row per component: tiles, load_seconds (masks from disk), mask_seconds and footprint_seconds (from mask or
        footprint to the depth of every anchor), mask_bytes (on disk), mask_runs and footprint_runs (of the anchors).
    """
    every = tiles_of(tiles)
    groups = components(tiles.geometry.to_numpy())
    _component([every[i] for i in rehearsal(groups)], seed)
    return pd.DataFrame(
        [_component([every[i] for i in group], seed) for group in track(groups, "bench", len(groups))]
    )


def _component(tiles: list[Tile], seed: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        paths = {tile.tile_id: Path(folder) / tile.tile_id for tile in tiles}
        for tile in tiles:
            masks.save(paths[tile.tile_id], mask_of(tile, seed))
        with timed() as load:
            loaded = {name: masks.load(path) for name, path in paths.items()}
        size = sum(path.stat().st_size for path in paths.values())
    with timed() as clouded:
        under = list(on_each_lattice(tiles, lambda tile: loaded[tile.tile_id], QualityConfig()))
    with timed() as bare:
        clear = list(on_each_lattice(tiles, lambda _: None, QualityConfig()))
    return {
        "tiles": len(tiles),
        "load_seconds": load.seconds,
        "mask_seconds": clouded.seconds,
        "footprint_seconds": bare.seconds,
        "mask_bytes": size,
        "mask_runs": _runs(under),
        "footprint_runs": _runs(clear),
    }


def _runs(found: list[ComponentOnLattice]) -> int:
    return sum(len(d.anchors.runs) for ground in found for d in ground.datatakes)


def lines(measured: pd.DataFrame, cores: int, seed: int, peak_mb: float) -> Iterator[str]:
    """Format the cost of the validity step, with an extrapolation to a whole archive."""
    total = measured.sum()
    yield (
        f"{total['tiles']:,.0f} full-size tiles in {len(measured):,} components, seed {seed}; {cores} "
        "cores, one used; "
        f"peak memory (ru_maxrss) {peak_mb:.0f} MB; masks of "
        f"{total['mask_bytes'] / total['tiles'] / 1e3:.0f} kB"
    )
    steps = {
        "reading masks": ("load_seconds", ""),
        "validity, joining, depth: with masks": ("mask_seconds", "mask_runs"),
        "the same with footprints only": ("footprint_seconds", "footprint_runs"),
    }
    cells = [
        (step, total[seconds], 1000 * total[seconds] / total["tiles"], total[runs] / total["tiles"] if runs else "-",
         ARCHIVE * total[seconds] / total["tiles"])
        for step, (seconds, runs) in steps.items()
    ]  # fmt: skip
    head = (
        "step",
        "seconds",
        "ms a tile",
        "runs of anchors a tile",
        f"extrapolated: s for {ARCHIVE:,} tiles",
    )
    yield table("The validity step with full-resolution masks", head, cells)
