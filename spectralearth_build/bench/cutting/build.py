"""What a whole build costs, beside decoding and encoding alone and beside the script that a user would write."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from spectralearth_build import config as settings
from spectralearth_build.archive.raster import read_image
from spectralearth_build.bench.cutting import script
from spectralearth_build.bench.measure import timed
from spectralearth_build.bench.show import table
from spectralearth_build.cluster import connect
from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.config import Config
from spectralearth_build.overlap.lattice import WINDOW, box_of, window_of
from spectralearth_build.pipeline import Run
from spectralearth_build.store.codec import encode_patch
from spectralearth_build.synthetic.archive import ArchiveOptions, synthesize
from spectralearth_build.tables import PATCHES, TILES

VALIDITIES = ("at-cut", "all-bands")
ARCHIVES = (11_636, 240_000)
"""Numbers of tiles for which core hours are projected: SpectralEarth's, and the whole catalogue's."""
SHARD_ROWS = Config().store.shard_rows


@dataclass(frozen=True)
class _Tile:
    """A tile whose patches lie in its own image."""

    image: Path
    bands: tuple[int, ...]
    corners: tuple[script.Corner, ...]


def measure(archive: Path, workers: tuple[int, ...], rounds: int) -> pd.DataFrame:
    """Build an archive of products in folders, and do the same work by its steps and by a script.

    Args:
        archive: the archive.
        workers: numbers of workers of the builds. 1 runs in this process.
        rounds: number of runs, in turn; the fastest counts.

    Returns:
        One row per way: what, workers, tiles, patches, seconds, cpu_seconds (of this process and its workers).
    """
    best: dict[tuple[str, int], dict[str, Any]] = {}
    with TemporaryDirectory(prefix="bench-build-") as name:
        folder = Path(name)
        _build(
            archive, folder / "first", VALIDITIES[0], 1
        )  # loads compiled code, and says where the windows are
        tiles = list(_tiles(archive, folder / "first"))
        for _ in range(rounds):
            for what, count, step in _ways(archive, folder, tiles, workers):
                row = {"what": what, "workers": count, **_cost(step)}
                if row["cpu_seconds"] < best.get((what, count), {"cpu_seconds": np.inf})["cpu_seconds"]:
                    best[what, count] = row
    patches = sum(len(tile.corners) for tile in tiles)
    return pd.DataFrame(best.values()).assign(tiles=len(tiles), patches=patches)


def lines(measured: pd.DataFrame) -> Iterator[str]:
    """Format the result: per tile and per patch, against one decode and one encode, and against the script."""
    cost = measured.set_index(["what", "workers"])["cpu_seconds"]
    least, rival = cost["decode", 1] + cost["encode", 1], cost["script", 1]
    head = [
        "way",
        "workers",
        "s",
        "CPU s",
        "CPU s / tile",
        "CPU ms / patch",
        "/ (decode + encode)",
        "script /",
    ]
    head += [f"core h, {count:,} tiles" for count in ARCHIVES]
    rows = [
        [
            row.what,
            row.workers,
            row.seconds,
            row.cpu_seconds,
            row.cpu_seconds / row.tiles,
            1000 * row.cpu_seconds / row.patches,
            row.cpu_seconds / least,
            rival / row.cpu_seconds,
            *(row.cpu_seconds / row.tiles * count / 3600 for count in ARCHIVES),
        ]
        for row in measured.itertuples()
    ]
    yield table(f"{measured['tiles'][0]} tiles, {measured['patches'][0]} patches", head, rows)


def synthetic(folder: Path, tiles: int, edge: int, seed: int) -> Path:
    """Write full-size products of one layout without clouds, so that windows fill the tiles."""
    synthesize(folder, ArchiveOptions(tiles=tiles, seed=seed, size=edge, clouds=False), InlineExecutor())
    return folder


def _ways(
    archive: Path, folder: Path, tiles: list[_Tile], workers: tuple[int, ...]
) -> Iterator[tuple[str, int, Callable[[], object]]]:
    yield "decode", 1, lambda: [read_image(t.image, np.array(t.bands, np.int32)) for t in tiles]
    cubes = _patches(tiles)
    yield "encode", 1, lambda: [encode_patch(cube.copy(), Config().store.codec) for cube in cubes]
    yield "script", 1, lambda: _script(tiles, folder / "script")
    for validity in VALIDITIES:
        for count in workers:
            for what, whole in (("build", True), ("scan", False)):
                step = partial(_build, archive, folder / "d", validity, count, whole)
                yield f"{what}, {validity}", count, step


def _cost(step: Callable[[], object]) -> dict[str, float]:
    before = _cpu()
    with timed() as clock:
        step()
    return {"seconds": clock.seconds, "cpu_seconds": _cpu() - before}


def _cpu() -> float:
    """CPU seconds of this process and of workers that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


def _build(archive: Path, dataset: Path, validity: str, workers: int, whole: bool = True) -> None:
    """Scan; if ``whole``, also plan, cut and publish."""
    shutil.rmtree(dataset, ignore_errors=True)
    scheduler = "inline" if workers == 1 else ""
    chosen = {"run.scheduler": scheduler, "run.workers": workers, "run.threads": 1, "run.check_space": False}
    config = settings.load(None, chosen | {"scan.validity": validity})
    with connect(config.run) as executor:
        run = Run(dataset, config, executor)
        run.scan(archive)
        if whole:
            run.plan()
            run.cut_as_scanned(archive)


def _script(tiles: list[_Tile], store: Path) -> None:
    shutil.rmtree(store, ignore_errors=True)
    script.run({tile.image: tile.corners for tile in tiles}, tiles[0].bands, store, SHARD_ROWS)


def _tiles(archive: Path, dataset: Path) -> Iterator[_Tile]:
    """The tiles that have patches, and where these are in their images."""
    tiles = TILES.read(dataset).query("eligible").set_index("tile_id")
    for tile_id, patches in PATCHES.read(dataset).groupby("tile_id"):
        tile, corners = tiles.loc[tile_id], []
        for place in patches["location_id"]:
            epsg, col, row = (int(part) for part in place.split("_"))
            window, raster = window_of(row, col), box_of(tile)
            line, col = window.line - raster.line, window.col - raster.col
            inside = 0 <= line <= tile["height"] - WINDOW and 0 <= col <= tile["width"] - WINDOW
            if inside and epsg == tile["epsg"]:
                corners.append((line, col))
        image = next((archive / tile["path"]).glob("*SPECTRAL_IMAGE.TIF"))
        yield _Tile(image, tuple(int(band) for band in tile["band_index"]), tuple(corners))


def _patches(tiles: list[_Tile]) -> list[Any]:
    """The pixels of all patches."""
    found = []
    for tile in tiles:
        cube = read_image(tile.image, np.array(tile.bands, np.int32))
        found += [
            np.ascontiguousarray(cube[:, line : line + WINDOW, col : col + WINDOW])
            for line, col in tile.corners
        ]
    return found
