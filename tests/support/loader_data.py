"""A small finished dataset whose every pixel is known: written by zarr-python, its tables row by row."""

import itertools
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import shapely
import zarr

from spectralearth_build.loader import Loader
from spectralearth_build.overlap.geography import to_lonlat
from spectralearth_build.store import index, schema
from spectralearth_build.store.codec import PATCH_SHAPE
from spectralearth_build.tables import LOCATIONS, PATCHES

EPSG = 32632
DATES = (3, 1, 4, 2, 5)
"""Dates of each location."""
FIRST = pd.Timestamp("2022-01-10T10:20:30.123456", tz="UTC")
STEP = pd.Timedelta(days=97)

_band, _y, _x = np.ogrid[:202, :128, :128]
_BASE = (31 * _band + 3 * _y - 5 * _x).astype(np.int16)


def pixels_of(row: int) -> np.ndarray:
    """Pixels of a store row, int16 [202, 128, 128]; no two rows alike."""
    return _BASE + np.int16(211 * row)


@dataclass
class Known:
    """A dataset folder and what is in it."""

    folder: Path
    patches: pd.DataFrame
    """As in patches.parquet."""

    @property
    def written(self) -> pd.DataFrame:
        return self.patches[self.patches["status"] == "written"]

    @property
    def array(self) -> Path:
        return self.folder / "store.zarr/reflectance"

    def shard(self, row: int, rows: int = 4) -> Path:
        return self.array / f"c.{row // rows}.0.0.0"


def write_array(
    folder: Path, rows: dict[int, np.ndarray], shards: int, shard_rows: int, codec: str
) -> zarr.Array:
    """An array as `publish` describes it, with patches in some rows, by zarr-python."""
    folder.mkdir(parents=True, exist_ok=True)
    document = schema.reflectance_document(shards, shard_rows, codec)
    (folder / "zarr.json").write_bytes(schema.metadata_bytes(document))
    array = zarr.open_array(folder, mode="r+")
    for row, patch in rows.items():
        array[row] = patch
    return array


def make(folder: Path, shard_rows: int = 4, codec: str = "fast") -> Known:
    """Write a dataset of 15 patches at 5 locations side by side, in rows of no particular order."""
    count = sum(DATES)
    row_of = np.random.default_rng(5).permutation(20)[:count]
    patches, locations = [], []
    for place, dates in enumerate(DATES):
        col, row = 20_000 + 128 * place, 174_000
        name = f"{EPSG}_{col}_{row}"
        west, north = 15 + 30 * col, 15 + 30 * row
        shape = to_lonlat(np.array([shapely.box(west, north - 3840, west + 3840, north)]), EPSG)[0]
        locations.append(
            {"location_id": name, "epsg": EPSG, "lattice_col": col, "lattice_row": row, "n": dates,
             "component": 0, "geometry": shape}
        )  # fmt: skip
        for date in range(dates):
            store_row = int(row_of[len(patches)])
            patches.append({
                "patch_id": f"{name}_DT{date:010d}", "location_id": name, "tile_id": f"DT{date:010d}_001",
                "sources": [f"DT{date:010d}_001"], "datatake": f"DT{date:010d}",
                "acquired": FIRST + STEP * ((7 * date + place) % 5), "store_row": store_row,
                "shard": store_row // shard_rows, "status": "written", "reason": "", "generation": 0,
                "cloud_fraction": 0.01 * date, "water_fraction": 0.1,
            })  # fmt: skip
    away = {**patches[0], "patch_id": "skipped", "status": "skipped", "reason": "gone", "store_row": 99}
    table = PATCHES.frame([patches[0], away, *patches[1:]])
    folder.mkdir(parents=True)
    PATCHES.write(table, folder)
    LOCATIONS.write(LOCATIONS.frame(locations), folder)
    shapes = shapely.to_wkb([row["geometry"] for row in locations])
    for name, content in index.encode_index(index.boxes([shapes])).items():
        (folder / name).write_bytes(content)
    halves = ["train" if place % 2 else "test" for place in range(len(DATES))]
    names = [row["location_id"] for row in locations]
    pd.DataFrame({"location_id": names, "split": halves}).to_parquet(folder / "splits.parquet")
    (folder / "manifest.json").write_text(json.dumps({"plan": "p", "files": {}, "counts": {}}))
    rows = {row["store_row"]: pixels_of(row["store_row"]) for row in patches}
    assert all(patch.shape == PATCH_SHAPE for patch in rows.values())
    write_array(folder / "store.zarr/reflectance", rows, 5, shard_rows, codec)
    (folder / "store.zarr/zarr.json").write_bytes(schema.metadata_bytes(schema.root_document({}, {})))
    return Known(folder, PATCHES.read(folder))


def made(known: Known, batch_size: int = 4, **options) -> Loader:
    """A loader of such a dataset: numpy, two threads."""
    return Loader(known.folder, batch_size, **{"as_numpy": True, "threads": 2, **options})


def rows_of(batches) -> list:
    """Store rows of each batch."""
    return [batch["row"].tolist() for batch in batches]


def flat(batches) -> list:
    """What all of them hold."""
    return list(itertools.chain.from_iterable(batches))


def truth(known: Known, batch: dict) -> None:
    """Check that pixels and labels of a batch are those of its rows."""
    table = known.patches.set_index("store_row")
    for k, row in np.ndenumerate(batch["row"]):
        expected = table.loc[row]
        assert np.array_equal(batch["pixels"][k], pixels_of(row))
        assert batch["location"][k[0]] == expected["location_id"]
        assert known.patches.loc[batch["index"][k], "store_row"] == row
        assert pd.Timestamp(int(batch["acquired"][k]), unit="us", tz="UTC") == expected["acquired"]


@pytest.fixture(scope="session")
def known(tmp_path_factory):
    """A dataset whose every pixel is known; not to be changed."""
    return make(tmp_path_factory.mktemp("loader") / "dataset")


@pytest.fixture
def own(known, tmp_path):
    """A copy of one's own."""
    shutil.copytree(known.folder, tmp_path / "own")
    return Known(tmp_path / "own", known.patches)
