"""What a whole build costs, beside decoding and encoding alone and beside the script that a user would write."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from spectralearth_build import config as settings
from spectralearth_build.archive.raster import read_image
from spectralearth_build.archive.tile_list import Listed, write_tile_list
from spectralearth_build.bench.cutting import script
from spectralearth_build.bench.measure import timed
from spectralearth_build.bench.show import table
from spectralearth_build.cluster import connect
from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.config import Config
from spectralearth_build.errors import UsageError
from spectralearth_build.overlap.lattice import WINDOW, box_of, window_of
from spectralearth_build.pipeline import Run
from spectralearth_build.store.codec import Patch, encode_patch
from spectralearth_build.synthetic.archive import ArchiveOptions, synthesize
from spectralearth_build.tables import PATCHES, TILES

VALIDITIES = ("at-cut", "all-bands")
ARCHIVES = (11_636, 240_000)
"""Numbers of tiles for which core hours are projected: SpectralEarth's, and the whole catalogue's."""
BUILDS = ("build", "scan")
HEAD = [
    "way",
    "workers",
    "s",
    "CPU s",
    "fixed CPU s",
    "CPU s / tile",
    "neither decode nor encode",
    "CPU ms / patch",
    "/ (decode + encode)",
    "script /",
    *(f"core h, {count:,} tiles" for count in ARCHIVES),
]
SHARD_ROWS = Config().store.shard_rows


@dataclass(frozen=True)
class _Tile:
    """A tile whose patches lie in its own image."""

    tile_id: str
    image: Path
    bands: tuple[int, ...]
    corners: tuple[script.Corner, ...]


def measure(archive: Path, workers: tuple[int, ...], rounds: int) -> pd.DataFrame:
    """Build an archive of products in folders, and do the same work by its steps and by a script.

    A build has costs that do not depend on the number of tiles. So it is done for one tile and for all, and the
    difference counts for the tiles.

    Args:
        archive: the archive.
        workers: numbers of workers of the builds. 1 runs in this process.
        rounds: number of runs, in turn; the fastest counts.

    Returns:
        One row per way: what, workers, tiles, patches, seconds and cpu_seconds of all tiles, and fixed_seconds, the CPU
        seconds that do not depend on the tiles (NaN if there is only one).
    """
    best: dict[tuple[str, int, int], dict[str, float]] = {}
    with TemporaryDirectory(prefix="bench-build-") as name:
        folder = Path(name)
        _build(
            archive, folder / "first", VALIDITIES[0], 1
        )  # loads compiled code, and says where the windows are
        tiles = list(_tiles(archive, folder / "first"))
        for _ in range(rounds):
            for what, count, number, step in _ways(archive, folder, tiles, workers):
                cost, key = _cost(step), (what, count, number)
                if cost["cpu_seconds"] < best.get(key, {"cpu_seconds": np.inf})["cpu_seconds"]:
                    best[key] = cost
    return pd.DataFrame(_rows(best, len(tiles), sum(len(tile.corners) for tile in tiles)))


def _rows(
    best: Mapping[tuple[str, int, int], dict[str, float]], tiles: int, patches: int
) -> Iterator[dict[str, Any]]:
    for (what, workers, number), cost in best.items():
        if number < tiles:
            continue
        fixed = 0.0
        if what.startswith(BUILDS):
            alone = best.get((what, workers, 1), cost)["cpu_seconds"] if tiles > 1 else np.nan
            fixed = max(0.0, (tiles * alone - cost["cpu_seconds"]) / (tiles - 1)) if tiles > 1 else np.nan
        yield {
            "what": what,
            "workers": workers,
            "tiles": tiles,
            "patches": patches,
            **cost,
            "fixed_seconds": fixed,
        }


def lines(measured: pd.DataFrame) -> Iterator[str]:
    """Format the result: per tile and per patch, against one decode and one encode, and against the script."""
    fixed = measured["fixed_seconds"].fillna(0.0)
    found = measured.assign(tile=(measured["cpu_seconds"] - fixed) / measured["tiles"], fixed=fixed)
    cost = found.set_index(["what", "workers"])["tile"]
    least, rival = cost["decode", 1] + cost["encode", 1], cost["script", 1]
    rows = [
        [
            row.what,
            row.workers,
            row.seconds,
            row.cpu_seconds,
            row.fixed_seconds,
            row.tile,
            row.tile - least if row.what.startswith(BUILDS[0]) else "",
            1000 * row.tile * row.tiles / row.patches,
            row.tile / least,
            rival / row.tile,
            *((row.fixed + row.tile * count) / 3600 for count in ARCHIVES),
        ]
        for row in found.itertuples()
    ]
    yield table(f"{measured['tiles'][0]} tiles, {measured['patches'][0]} patches", HEAD, rows)


def synthetic(folder: Path, tiles: int, edge: int, seed: int) -> Path:
    """Write full-size products in folders, of one layout and without clouds, so that windows fill the tiles."""
    synthesize(folder, ArchiveOptions(tiles=tiles, seed=seed, size=edge, clouds=False), InlineExecutor())
    for packed in sorted(folder.rglob("*.zip")):
        shutil.unpack_archive(packed, packed.parent)
        packed.unlink()
    return folder


def _ways(
    archive: Path, folder: Path, tiles: list[_Tile], workers: tuple[int, ...]
) -> Iterator[tuple[str, int, int, Callable[[], object]]]:
    """Yield what is done, by how many workers, on how many tiles, and the function that does it."""
    yield "decode", 1, len(tiles), lambda: [read_image(t.image, np.array(t.bands, np.int32)) for t in tiles]
    yield "encode", 1, len(tiles), partial(_encode, _patches(tiles))
    yield "script", 1, len(tiles), lambda: _script(tiles, folder / "script")
    lists = {}
    for some in {1: tiles[:1], len(tiles): tiles}.values():
        lists[len(some)] = folder / f"{len(some)}.csv"
        write_tile_list(lists[len(some)], [Listed(tile.tile_id, "") for tile in some])
    for validity in VALIDITIES:
        for count in workers:
            for what in BUILDS:
                for number, listed in lists.items():
                    step = partial(_build, archive, folder / "d", validity, count, what == "build", listed)
                    yield f"{what}, {validity}", count, number, step


def _cost(step: Callable[[], object]) -> dict[str, float]:
    before = _cpu()
    with timed() as clock:
        step()
    return {"seconds": clock.seconds, "cpu_seconds": _cpu() - before}


def _cpu() -> float:
    """CPU seconds of this process and of workers that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


def _build(
    archive: Path,
    dataset: Path,
    validity: str,
    workers: int,
    whole: bool = True,
    listed: Path | None = None,
) -> None:
    """Scan, all products or those of a tile list; if ``whole``, also plan, cut and publish."""
    shutil.rmtree(dataset, ignore_errors=True)
    scheduler = "inline" if workers == 1 else ""
    chosen = {"run.scheduler": scheduler, "run.workers": workers, "run.threads": 1, "run.check_space": False}
    chosen |= {"scan.validity": validity, "scan.manifest": str(listed or "")}
    config = settings.load(None, chosen)
    with connect(config.run) as executor:
        run = Run(dataset, config, executor)
        run.scan(archive)
        if whole:
            run.plan()
            run.cut_as_scanned(archive)


def _encode(cubes: list[Patch]) -> None:
    for cube in cubes:
        encode_patch(cube.copy(), Config().store.codec)


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
        bands = tuple(int(band) for band in tile["band_index"])
        yield _Tile(str(tile_id), _image(archive / tile["path"]), bands, tuple(corners))


def _image(product: Path) -> Path:
    image = next(product.glob("*SPECTRAL_IMAGE.TIF"), None)
    if image is None:
        what = "the script reads products in folders, with an image that ends in SPECTRAL_IMAGE.TIF."
        raise UsageError(what, product, "Unpack the products, and try again.")
    return image


def _patches(tiles: list[_Tile]) -> list[Patch]:
    """The pixels of all patches."""
    found = []
    for tile in tiles:
        cube = read_image(tile.image, np.array(tile.bands, np.int32))
        found += [
            np.ascontiguousarray(cube[:, line : line + WINDOW, col : col + WINDOW])
            for line, col in tile.corners
        ]
    return found
