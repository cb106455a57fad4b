"""Archives made by hypothesis, as tables only, and what they have in common by comparing every pair of patches."""

from dataclasses import dataclass
from functools import cache
from itertools import combinations

import geopandas as gpd
import networkx as nx
import numpy as np
import pandas as pd
import pyproj
import shapely
from hypothesis import strategies as st

from spectralearth_build.overlap.geography import to_lonlat
from spectralearth_build.tables import LOCATIONS, PATCHES, TILES

MIDDLES = {
    "plane": (9.0, 48.0),
    "zone edge": (12.0, 50.0),
    "antimeridian": (180.0, 65.0),
    "equator": (21.02, 0.0),
}
SIZE = 128 * 30


@dataclass
class Archive:
    """The tables of a dataset."""

    tiles: gpd.GeoDataFrame
    locations: gpd.GeoDataFrame
    patches: pd.DataFrame
    middle: tuple[float, float]

    def grown_from(self, datatakes):
        """Only what some datatakes give."""
        return Archive(
            self.tiles, self.locations, self.patches[self.patches["datatake"].isin(datatakes)], self.middle
        )


@cache
def between(source, target):
    return pyproj.Transformer.from_crs(source, target, always_xy=True)


def plane(middle):
    """Projection to metres around a point, true to a metre over a hundred kilometres."""
    lon, lat = middle
    return between(4326, f"+proj=aeqd +lat_0={lat} +lon_0={lon} +datum=WGS84")


def zone_of(lon, lat):
    return (32600 if lat >= 0 else 32700) + int((lon + 180) // 6 % 60) + 1


def window_at(middle, x, y):
    """The window of the coarse lattice of its zone that holds a point of the plane: epsg, col, row."""
    lon, lat = plane(middle).transform(x, y, direction="INVERSE")
    epsg = zone_of((lon + 180) % 360 - 180, lat)
    east, north = between(4326, epsg).transform(lon, lat)
    return epsg, int((east - 15) // SIZE) * 128, int((north - 15) // SIZE) * 128 + 128


def outline(epsg, col, row):
    west, north = 15 + 30 * col, 15 + 30 * row
    return to_lonlat(shapely.box(west, north - SIZE, west + SIZE, north), epsg)


def footprint(middle, x, y, half):
    """A tile: a square of its centre's zone, in longitude and latitude."""
    lon, lat = plane(middle).transform(x, y, direction="INVERSE")
    epsg = zone_of((lon + 180) % 360 - 180, lat)
    east, north = between(4326, epsg).transform(lon, lat)
    return to_lonlat(shapely.box(east - half, north - half, east + half, north + half), epsg)


@st.composite
def archives(draw, most=7, reach=60):
    """A few datatakes of one to three tiles, some of which see the same ground."""
    middle = MIDDLES[draw(st.sampled_from(sorted(MIDDLES)))]
    kilometres = st.integers(-reach, reach)
    strips = draw(st.lists(st.tuples(kilometres, kilometres, st.integers(1, 3)), min_size=2, max_size=most))
    tiles, patches = [], []
    for take, (x, y, length) in enumerate(strips):
        datatake = f"DT{take + 1:010d}"
        names = [f"{datatake}_{k + 1:03d}" for k in range(length)]
        for k, name in enumerate(names):
            at = 1000.0 * x, 1000.0 * (y - 14 * k)
            tiles.append({"tile_id": name, "datatake": datatake, "eligible": True, "status": "used",
                          "geometry": footprint(middle, *at, 7500)})  # fmt: skip
            for dx, dy in draw(
                st.sets(st.sampled_from([(a, b) for a in (-1, 1) for b in (-1, 1)]), min_size=1)
            ):
                window = window_at(middle, at[0] + 2500 * dx, at[1] + 2500 * dy)
                sources = names[k : k + 2] if dy < 0 else [name]
                patches.append((window, name, sources, datatake, 4 * take + k))
    return tables(middle, tiles, patches)


def tables(middle, tiles, patches):
    """The tables of an archive; a place is seen once by a datatake."""
    rows = {}
    for window, tile, sources, datatake, month in patches:
        location = "_".join(map(str, window))
        rows.setdefault(f"{location}_{datatake}", {
            "patch_id": f"{location}_{datatake}", "location_id": location, "tile_id": tile, "sources": sources,
            "datatake": datatake, "acquired": pd.Timestamp(2022, 1 + month % 12, 5, tz="UTC"), "status": "written",
        })  # fmt: skip
    windows = sorted({window for window, *_ in patches})
    shapes = [
        shapely.transform(tile["geometry"], lambda p: np.stack([p[:, 0] % 360, p[:, 1]], 1)) for tile in tiles
    ]
    graph = nx.empty_graph(len(tiles))
    graph.add_edges_from(
        (i, j) for i, j in combinations(range(len(tiles)), 2) if shapes[i].intersects(shapes[j])
    )
    number = {i: k for k, part in enumerate(nx.connected_components(graph)) for i in part}
    of_tile = {tile["tile_id"]: number[k] for k, tile in enumerate(tiles)}
    of_place = {"_".join(map(str, window)): of_tile[tile] for window, tile, *_ in patches}
    locations = [
        {"location_id": "_".join(map(str, w)), "epsg": w[0], "lattice_col": w[1], "lattice_row": w[2], "n": 1,
         "component": of_place["_".join(map(str, w))], "geometry": outline(*w)} for w in windows
    ]  # fmt: skip
    return Archive(TILES.frame(tiles), LOCATIONS.frame(locations), PATCHES.frame(list(rows.values())), middle)


def leaking(archive, part, buffer_km, gap_m=0.0):
    """Patches that leak, by kind: every pair of patches of different parts, by the definition.

    Args:
        archive: the tables.
        part: part by patch_id, empty for none.
        buffer_km: ground at most this far away leaks.
        gap_m: footprints at most this far apart touch.
    """
    rows = [row for row in archive.patches.itertuples() if part[row.patch_id]]
    flat = plane(archive.middle)
    known = archive.tiles.set_index("tile_id")["geometry"]
    used = sorted({tile for row in rows for tile in row.sources})
    ground = {tile: projected(flat, known[tile]) for tile in used}
    windows = {row.location_id: window_on(flat, row.location_id) for row in rows}
    graph = nx.empty_graph(used)
    graph.add_edges_from(p for p in combinations(used, 2) if ground[p[0]].distance(ground[p[1]]) <= gap_m)
    component = {tile: k for k, found in enumerate(nx.connected_components(graph)) for tile in found}
    found = {kind: set() for kind in ("location", "tile", "datatake", "component", "buffer")}
    for a, b in combinations(rows, 2):
        if part[a.patch_id] == part[b.patch_id]:
            continue
        common = {
            "location": a.location_id == b.location_id,
            "tile": bool({*a.sources} & {*b.sources}),
            "datatake": a.datatake == b.datatake,
            "component": bool({component[t] for t in a.sources} & {component[t] for t in b.sources}),
            "buffer": windows[a.location_id].distance(windows[b.location_id]) <= 1000 * buffer_km,
        }
        for kind, is_common in common.items():
            if is_common:
                found[kind] |= {a.patch_id, b.patch_id}
    return found


def projected(flat, geometry):
    """A geometry in metres; parts on both sides of the antimeridian come together again."""
    return shapely.union_all(
        [
            shapely.transform(p, lambda xy: np.stack(flat.transform(*xy.T), 1))
            for p in shapely.get_parts(geometry)
        ]
    )


def window_on(flat, location):
    """A window in metres, its edges densely sampled."""
    epsg, col, row = map(int, location.split("_"))
    west, north = 15 + 30 * col, 15 + 30 * row
    edge = shapely.segmentize(shapely.box(west, north - SIZE, west + SIZE, north), 500)
    to_degrees = between(epsg, 4326)
    return shapely.transform(edge, lambda xy: np.stack(flat.transform(*to_degrees.transform(*xy.T)), 1))


def islands(sizes, months=None):
    """Datatakes far from each other, of so many patches each."""
    middle, tiles, patches = MIDDLES["plane"], [], []
    for take, size in enumerate(sizes):
        x, y = 60e3 * (take % 12 - 6), 60e3 * (take // 12 - 4)
        name = f"DT{take + 1:010d}_001"
        tiles.append({"tile_id": name, "datatake": name[:12], "eligible": True,
                      "geometry": footprint(middle, x, y, 15000)})  # fmt: skip
        month = take if months is None else months[take]
        for k in range(size):
            at = x + 4000 * (k % 6 - 3), y + 4000 * (k // 6 - 3)
            patches.append((window_at(middle, *at), name, [name], name[:12], month))
    return tables(middle, tiles, patches)


def chain(length=40):
    """Datatakes in a row, each touching the next: one group, whatever the buffer."""
    middle, tiles, patches = MIDDLES["plane"], [], []
    for take in range(length):
        x, name = 13e3 * (take - length / 2), f"DT{take + 1:010d}_001"
        tiles.append({"tile_id": name, "datatake": name[:12], "eligible": True,
                      "geometry": footprint(middle, x, 0, 7500)})  # fmt: skip
        patches += [(window_at(middle, x, 4000 * k), name, [name], name[:12], take) for k in (-1, 0, 1)]
    return tables(middle, tiles, patches)
