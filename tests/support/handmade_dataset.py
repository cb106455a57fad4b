"""A small finished dataset made by hand: its pixels are written by zarr-python, its tables here, row by row."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyproj
import pytest
import shapely
import zarr

from spectralearth_build.layout import ROOT, STORE, array_metadata
from spectralearth_build.store import index, schema
from spectralearth_build.tables import LOCATIONS, OVERLAPS, PATCHES, TILES, TUPLES

SHARD_ROWS = 2
HOSTILE = 'x/<script>alert("1")</script>&\n../"onload=.TIF'
NOMINAL = np.concatenate(
    [np.linspace(420, 1335, 126), np.linspace(1460, 1775, 26), np.linspace(1960, 2440, 50)]
)
FWHM = np.linspace(6.5, 12, 202)

# location: epsg, lattice_col, lattice_row, component
PLACES = {
    "32632_20000_174000": (32632, 20000, 174000, 0),
    "32632_20128_174000": (32632, 20128, 174000, 0),
    "32633_9000_174000": (32633, 9000, 174000, 1),
    "32660_27189_66673": (32660, 27189, 66673, 2),  # across the antimeridian
    "32733_15000_250000": (32733, 15000, 250000, 3),  # south
}
# datatake: acquired, shift of its wavelengths in nm
TAKES = {
    "DT0000000001": ("2022-07-03T10:20:30", 0.0),
    "DT0000000002": ("2023-01-15T10:21:31", 0.2),
    "DT0000000003": ("2024-07-20T10:19:00", -0.25),
    "DT0000000004": ("2024-07-20T10:40:00", -0.25),
}
# location number, datatake number, cloud fraction, status; one tile a patch keeps shards simple
PATCH_ROWS = [
    (0, 0, 0.0, "written"),
    (0, 1, 0.04, "written"),
    (0, 2, 0.01, "written"),
    (0, 3, 0.02, "written"),
    (1, 0, 0.03, "written"),
    (1, 2, 0.0, "written"),
    (2, 1, 0.0, "written"),
    (3, 3, 0.05, "written"),
    (4, 2, 0.0, "written"),
    (4, 0, 0.0, "skipped"),
]


@dataclass
class Handmade:
    """A dataset folder and the truth about it."""

    folder: Path
    pixels: dict[str, np.ndarray] = field(default_factory=dict)
    """Patch_id to int16 [band, y, x]."""


def ground(epsg: int, col: int, row: int, size: int = 128) -> shapely.Geometry:
    """The window in longitude and latitude, split at the antimeridian."""
    west, north = 15 + 30 * col, 15 + 30 * row
    square = shapely.box(west, north - 30 * size, west + 30 * size, north)
    to_degrees = pyproj.Transformer.from_crs(epsg, 4326, always_xy=True)
    shape = shapely.transform(square, lambda xy: np.column_stack(to_degrees.transform(*xy.T)))
    if shape.bounds[2] - shape.bounds[0] < 180:
        return shape
    turned = shapely.transform(shape, lambda xy: np.column_stack([xy[:, 0] % 360, xy[:, 1]]))
    east = turned.intersection(shapely.box(0, -90, 180, 90))
    west_part = turned.intersection(shapely.box(180, -90, 360, 90))
    return shapely.MultiPolygon([east, shapely.transform(west_part, lambda xy: xy - (360, 0))])


def pixels_of(location: int, take: int) -> np.ndarray:
    """Smooth ground with a little noise, int16 [202, 128, 128]; negative values occur."""
    rng = np.random.default_rng(100 * location + take)
    y, x = np.mgrid[:128, :128] / 128
    texture = 0.5 + 0.5 * np.sin((5 + location) * x) * np.cos((7 - take) * y)
    leaf = 500 + 2500 / (1 + np.exp(-(NOMINAL - 715) / 15))
    soil = 800 + NOMINAL - 0.00025 * NOMINAL**2
    cube = texture[None] * leaf[:, None, None] + (1 - texture[None]) * soil[:, None, None] - 600 * (take == 1)
    return (cube + rng.normal(0, 20, (202, 1, 128))).astype(np.int16)


def tile_rows() -> list[dict]:
    rows = []
    for k, (place, take, _, status) in enumerate(PATCH_ROWS):
        epsg, col, row, _ = list(PLACES.values())[place]
        datatake, (acquired, shift) = list(TAKES.items())[take]
        rows.append({
            "product_id": f"ENMAP01-____L2A-{datatake}_{k:03d}", "tile_id": f"{datatake}_{k + 1:03d}",
            "datatake": datatake, "tile": k + 1, "version": "V010402", "acquired": pd.Timestamp(acquired, tz="UTC"),
            "epsg": epsg, "path": f"a/{datatake}_{k}", "status": "used" if status == "written" else "unused",
            "reason": "", "error_class": "", "eligible": True, "cloud_cover": 10.0 * k, "band_deviation_nm": abs(shift),
            "wavelength_nm": (NOMINAL + shift).tolist(), "fwhm_nm": (FWHM + shift).tolist(),
            "geometry": ground(epsg, col - 150, row + 150, 500),
        })  # fmt: skip
    bad = [("quarantined", "BrokenRasterError", HOSTILE), ("quarantined", "BrokenRasterError", "b/2"),
           ("superseded", "", "c"), ("duplicate", "", "d"), ("rejected", "PoorQualityError", "e")]  # fmt: skip
    rows += [
        {"product_id": f"bad{k}", "tile_id": None, "path": path, "status": status, "error_class": name,
         "reason": f"why of {path}", "eligible": False, "geometry": None}
        for k, (status, name, path) in enumerate(bad)
    ]  # fmt: skip
    return rows


def patch_rows() -> list[dict]:
    tiles, rows = tile_rows(), []
    for k, (place, take, cloud, status) in enumerate(PATCH_ROWS):
        location, datatake = list(PLACES)[place], list(TAKES)[take]
        rows.append({
            "patch_id": f"{location}_{datatake}", "location_id": location, "tile_id": tiles[k]["tile_id"],
            "sources": [tiles[k]["tile_id"]], "datatake": datatake, "acquired": tiles[k]["acquired"],
            "store_row": k * SHARD_ROWS, "shard": k, "status": status, "cloud_fraction": cloud, "resampled": k == 1,
            "reason": "" if status == "written" else "the tile <b>broke</b>",
        })  # fmt: skip
    return rows


def write_store(made: Handmade) -> None:
    rows, tiles = patch_rows(), tile_rows()[: len(PATCH_ROWS)]
    shards = len(rows)
    coordinates = schema.row_coordinates(shards * SHARD_ROWS)
    coordinates |= schema.band_coordinates(NOMINAL, FWHM)
    coordinates |= schema.tile_coordinates(
        [t["tile_id"] for t in tiles], [t["wavelength_nm"] for t in tiles], [t["fwhm_nm"] for t in tiles]
    )
    for k, row in enumerate(rows):
        coordinates["tile_index"].values[row["store_row"]] = k
    documents = {"reflectance": schema.reflectance_document(shards, SHARD_ROWS, "spectral")}
    files = {}
    for name, coordinate in coordinates.items():
        documents[name], more = schema.coordinate_files(name, coordinate)
        files |= more
    files[array_metadata("reflectance")] = schema.metadata_bytes(documents["reflectance"])
    root = schema.root_document(schema.root_attributes("p1", "spectral", {}, list(coordinates)), documents)
    files[ROOT] = schema.metadata_bytes(root)
    for name, content in files.items():
        (made.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (made.folder / name).write_bytes(content)
    array = zarr.open_array(made.folder / STORE / "reflectance", mode="r+")
    for row, (place, take, _, status) in zip(rows, PATCH_ROWS, strict=True):
        if status == "written":
            made.pixels[row["patch_id"]] = pixels_of(place, take)
            array[row["store_row"]] = made.pixels[row["patch_id"]]


def write_tables(folder: Path) -> None:
    dates = pd.Series([place for place, _, _, status in PATCH_ROWS if status == "written"]).value_counts()
    locations = [
        {"location_id": name, "epsg": epsg, "lattice_col": col, "lattice_row": row, "n": int(dates[k]),
         "component": component, "geometry": ground(epsg, col, row)}
        for k, (name, (epsg, col, row, component)) in enumerate(PLACES.items())
    ]  # fmt: skip
    TILES.write(TILES.frame(tile_rows()), folder)
    PATCHES.write(PATCHES.frame(patch_rows()), folder)
    LOCATIONS.write(LOCATIONS.frame(locations), folder)
    OVERLAPS.write(OVERLAPS.frame([]), folder)
    tuples = [
        {"component": 0, "epsg": 32632, "n": n, "windows": 100 * n, "area_km2": 0.09 * n} for n in (1, 4, 4)
    ]
    TUPLES.write(TUPLES.frame(tuples), folder)
    for name, content in index.encode_index(
        index.boxes([shapely.to_wkb([r["geometry"] for r in locations])])
    ).items():
        (folder / name).write_bytes(content)


def make(folder: Path) -> Handmade:
    """Write the whole dataset."""
    folder.mkdir(parents=True)
    made = Handmade(folder)
    write_tables(folder)
    write_store(made)
    manifest = {"plan": "p1", "settings": {"plan.value": "patches"}, "counts": {"patches": {"planned": 10}},
                "files": {}, "versions": {"zarr": zarr.__version__}}  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return made


@pytest.fixture(scope="session")
def handmade(tmp_path_factory: pytest.TempPathFactory) -> Handmade:
    """The dataset. Shared: copy before you change it."""
    return make(tmp_path_factory.mktemp("data") / "handmade")
