"""Consistency checks of the tables of a dataset, as pure functions of whole data frames: the truth for `audit`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from spectralearth_build.checking.damage import Damage
from spectralearth_build.layout import PatchStatus, TileStatus
from spectralearth_build.overlap.geography import to_lonlat
from spectralearth_build.overlap.lattice import PIXEL, WINDOW, anchors_of, bounds_of
from spectralearth_build.overlap.resample import transformer
from spectralearth_build.tables import LOCATIONS, PATCHES, STATUSES, TILES

KIND = "TableWrong"
OVERLAP = "LocationsOverlap"
_EXAMPLES = 3
_SLACK_M2 = PIXEL**2
"""Area that windows of different zones may share, because their edges are curves in the other zone."""
_STEP = 500.0
_SAME_PLACE = 1e-6
"""Tolerance between two computations of one outline in degrees, about 10 cm."""


def audit(
    tiles: gpd.GeoDataFrame, locations: gpd.GeoDataFrame, patches: pd.DataFrame, shard_rows: int
) -> list[Damage]:
    """Return all contradictions within and between the tables of a published dataset.

    Args:
        tiles: tiles.parquet.
        locations: locations.parquet.
        patches: patches.parquet.
        shard_rows: number of rows per shard.
    """
    return [
        *_tiles(tiles),
        *_locations(locations),
        *_patches(patches, shard_rows),
        *_references(tiles, locations, patches),
        *(
            Damage(OVERLAP, LOCATIONS.file, f"{a} and {b} share ground.")
            for a, b in overlapping_locations(locations)
        ),
    ]


def overlapping_locations(locations: gpd.GeoDataFrame) -> list[tuple[str, str]]:
    """Return pairs of locations that share ground: at least a pixel, on one lattice or across two."""
    names = locations["location_id"].to_numpy()
    pairs = {*_within_lattices(locations), *_across_lattices(locations)}
    return sorted((str(names[i]), str(names[j])) for i, j in pairs)


def _tiles(tiles: pd.DataFrame) -> Iterator[Damage]:
    yield from _repeated(TILES.file, tiles, "path")
    yield from _repeated(TILES.file, tiles[tiles["eligible"].eq(True)], "tile_id")
    yield from _where(TILES.file, tiles, ~tiles["status"].isin(STATUSES), "product_id", "has no known status")


def _locations(locations: gpd.GeoDataFrame) -> Iterator[Damage]:
    yield from _repeated(LOCATIONS.file, locations, "location_id")
    columns = (locations[name].astype(str) for name in ("epsg", "lattice_col", "lattice_row"))
    expected = pd.Series(["_".join(parts) for parts in zip(*columns, strict=True)], index=locations.index)
    wrong = locations["location_id"] != expected
    yield from _where(LOCATIONS.file, locations, wrong, "location_id", "is not named after its window")
    moved = ~shapely.equals_exact(
        shapely.normalize(locations.geometry.to_numpy()), shapely.normalize(_outlines(locations)), _SAME_PLACE
    )
    yield from _where(
        LOCATIONS.file, locations, moved, "location_id", "has an outline that differs from its window"
    )


def _patches(patches: pd.DataFrame, shard_rows: int) -> Iterator[Damage]:
    file = PATCHES.file
    yield from _repeated(file, patches[patches["status"] != PatchStatus.RETIRED], "patch_id")
    yield from _repeated(file, patches, "store_row")
    written, away = (
        patches["status"] == PatchStatus.WRITTEN,
        patches["status"].isin([PatchStatus.SKIPPED, PatchStatus.RETIRED]),
    )
    named = patches["location_id"] + "_" + patches["datatake"]
    several = patches["shard"].isin(_keys(patches.groupby("shard")["tile_id"].nunique() > 1))
    for wrong, text in (
        (~written & ~away, "is neither written nor skipped nor retired"),
        (away & (patches["reason"].fillna("") == ""), "is skipped or retired without a reason"),
        (patches["patch_id"] != named, "is not named after its location and datatake"),
        (patches["store_row"] // shard_rows != patches["shard"], "has a row outside its shard"),
        (patches["tile_id"].str.slice(0, -4) != patches["datatake"], "has a tile of another datatake"),
        (several, "shares its shard with another tile"),
    ):
        yield from _where(file, patches, wrong, "patch_id", text)


def _references(tiles: pd.DataFrame, locations: pd.DataFrame, patches: pd.DataFrame) -> Iterator[Damage]:
    file = PATCHES.file
    sources = patches[["patch_id", "tile_id", "status", "sources"]].explode("sources")
    giving = sources[sources["status"] == PatchStatus.WRITTEN]["sources"]
    able = tiles["status"].isin([TileStatus.USED, TileStatus.QUARANTINED]) & tiles["eligible"].eq(True)
    own = set(sources["patch_id"][sources["tile_id"] == sources["sources"]])
    times = tiles[tiles["eligible"].eq(True)].drop_duplicates("tile_id").set_index("tile_id")["acquired"]
    for wrong, text in (
        (~patches["location_id"].isin(locations["location_id"]), "has an unknown location"),
        (~patches["tile_id"].isin(tiles["tile_id"]), "has an unknown tile"),
        (~patches["patch_id"].isin(own), "does not name its tile among its sources"),
        (
            (times.reindex(patches["tile_id"]).array != patches["acquired"].array)
            & (patches["status"] != PatchStatus.RETIRED),
            "has a different time than its tile",
        ),
    ):
        yield from _where(file, patches, wrong, "patch_id", text)
    unable = sorted(set(giving) - set(tiles["tile_id"][able]))
    yield from (
        Damage(KIND, TILES.file, f"{tile} gives pixels but is not marked as used.") for tile in unable
    )
    idle = (tiles["status"] == TileStatus.USED) & ~tiles["tile_id"].isin(set(giving))
    yield from _where(TILES.file, tiles, idle, "product_id", "is marked as used but gives no pixels")
    dates = patches["location_id"][patches["status"] == PatchStatus.WRITTEN].value_counts()
    counted = locations["location_id"].map(dates).fillna(0)
    yield from _where(
        LOCATIONS.file, locations, counted != locations["n"], "location_id", "has a wrong number of dates"
    )


def _within_lattices(locations: pd.DataFrame) -> Iterator[tuple[int, int]]:
    for rows in locations.groupby("epsg").indices.values():
        part = locations.iloc[rows]
        line, col = anchors_of(part).T
        # Shrunk by a quarter of a pixel on each side, so that windows that share a pixel intersect, but not
        # those that only touch.
        shapes = shapely.box(col + 0.25, line + 0.25, col + WINDOW - 0.25, line + WINDOW - 0.25)
        first, second = shapely.STRtree(shapes).query(shapes, predicate="intersects")
        yield from ((int(rows[i]), int(rows[j])) for i, j in zip(first, second, strict=True) if i < j)


def _across_lattices(locations: gpd.GeoDataFrame) -> Iterator[tuple[int, int]]:
    epsg, outlines = locations["epsg"].to_numpy(), _outlines(locations)
    first, second = shapely.STRtree(outlines).query(outlines, predicate="intersects")
    for i, j in zip(first.tolist(), second.tolist(), strict=True):
        if i < j and epsg[i] != epsg[j] and _shared_m2(locations.iloc[i], locations.iloc[j]) > _SLACK_M2:
            yield i, j


def _shared_m2(a: pd.Series, b: pd.Series) -> float:
    """Return the area that two windows on different lattices share, in the projection of the first."""
    project = transformer(int(b["epsg"]), int(a["epsg"]))
    moved = shapely.transform(
        shapely.segmentize(_square(b), _STEP), lambda p: np.stack(project.transform(p[:, 0], p[:, 1]), axis=1)
    )
    return float(shapely.area(shapely.intersection(_square(a), moved)))


def _square(location: pd.Series | pd.DataFrame) -> npt.NDArray[np.object_]:
    """Return windows in metres of their zones."""
    squares: npt.NDArray[np.object_] = shapely.box(
        *bounds_of(location["lattice_row"], location["lattice_col"])
    )
    return squares


def _outlines(locations: pd.DataFrame) -> npt.NDArray[np.object_]:
    """Compute windows in longitude and latitude."""
    result = np.empty(len(locations), object)
    for epsg, rows in locations.groupby("epsg").indices.items():
        result[rows] = to_lonlat(_square(locations.iloc[rows]), int(epsg))
    return result


def _repeated(file: str, frame: pd.DataFrame, column: str) -> Iterator[Damage]:
    wrong = frame[column].duplicated(keep=False)
    yield from _where(file, frame, wrong, column, f"occurs more than once in {column}")


def _where(
    file: str, frame: pd.DataFrame, wrong: pd.Series | npt.NDArray[np.bool_], name: str, text: str
) -> Iterator[Damage]:
    """Return one damage for all rows where ``wrong``, which names the first few."""
    found = frame[name][np.asarray(wrong, bool)].astype(str).tolist()
    if found:
        yield Damage(KIND, file, f"{_listed(found)} {text}.")


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _EXAMPLES} more" if len(names) > _EXAMPLES else ""
    return ", ".join(names[:_EXAMPLES]) + more


def _keys(flags: pd.Series) -> Iterable[object]:
    return list(flags.index[flags])
