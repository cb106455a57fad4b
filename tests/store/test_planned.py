"""The patches and tiles of a plan, against the rows of its tables one by one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spectralearth_build.errors import DamagedError, UsageError
from spectralearth_build.overlap.lattice import Box
from spectralearth_build.store import planned_patches
from spectralearth_build.store.planned_patches import PlannedPatch, read_patches
from spectralearth_build.store.planned_tiles import read_tiles
from spectralearth_build.tables import PATCHES, TILES

SHARD_ROWS = 4


def made(count, seed=0):
    """Rows of patches.parquet: shards of one tile each, some rows retired, empty or missing."""
    random = np.random.default_rng(seed)
    rows = np.sort(random.choice(3 * count, count, replace=False))
    shard = rows // SHARD_ROWS
    tiles = [
        f"DT{number // 3:010}_{number % 3:03}" for number in random.permutation(shard.max() + 1)[shard] // 2
    ]
    places = random.integers(-200_000, 200_000, (count, 2))
    names = [f"{32601 + k % 60}_{col}_{row}" for k, (col, row) in enumerate(places.tolist())]
    more = [[tile, *(f"DT{k:010}_009" for k in range(random.integers(0, 3)))] for tile in tiles]
    return pd.DataFrame({
        "patch_id": [f"{name}_{tile[:-4]}" for name, tile in zip(names, tiles, strict=True)],
        "location_id": names, "tile_id": tiles, "sources": more, "datatake": [tile[:-4] for tile in tiles],
        "acquired": pd.Timestamp("2024-01-01", tz="UTC"), "store_row": rows, "shard": shard, "generation": 0,
        "status": random.choice(["planned", "written", "skipped", "retired"], count), "reason": "",
        "resampled": False,
        **{f"{name}_fraction": 0.0 for name in ("cloud", "shadow", "haze", "cirrus", "snow", "water")},
    })  # fmt: skip


def expected(frame, shard):
    """The patches of a shard, by a walk over all rows."""
    found = []
    for row in frame.sort_values("store_row").itertuples():
        if row.shard == shard and row.status != "retired":
            epsg, col, lattice_row = map(int, row.location_id.split("_"))
            window = Box(-lattice_row, col, 128, 128)
            found.append(PlannedPatch(row.patch_id, row.store_row, epsg, window, tuple(row.sources)))
    return tuple(found)


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("count", [1, 7, 300])
def test_patches_of_shards_are_those_of_the_rows(tmp_path, monkeypatch, count, shuffled):
    monkeypatch.setattr("spectralearth_build.columns.ROW_GROUP", 64)
    frame = made(count)
    PATCHES.write(frame.sample(frac=1, random_state=1) if shuffled else frame, tmp_path)
    patches = read_patches(tmp_path, SHARD_ROWS)
    live = frame[frame["status"] != "retired"]
    assert len(patches) == len(live)
    assert patches.shards == frame["shard"].max() + 1
    assert patches.retired.tolist() == frame.loc[frame["status"] == "retired", "store_row"].tolist()
    for shard in range(patches.shards + 1):
        assert patches.of_shard(shard) == expected(frame, shard)
        assert patches.sources_of_shard(shard) == {
            name for patch in expected(frame, shard) for name in patch.sources
        }
    groups = live.groupby("tile_id")["shard"].unique()
    assert patches.shards_by_tile == {tile: sorted(shards.tolist()) for tile, shards in groups.items()}
    assert list(patches.shards_by_tile) == sorted(patches.shards_by_tile)
    assert patches.tiles_used == {*live["tile_id"], *live["sources"].explode()}


def test_a_plan_without_patches(tmp_path):
    PATCHES.write(PATCHES.frame([]), tmp_path)
    patches = read_patches(tmp_path, SHARD_ROWS)
    assert (len(patches), patches.shards, patches.shards_by_tile, patches.of_shard(0)) == (0, 0, {}, ())


def test_the_patches_of_a_shard_cost_the_same_in_every_plan(tmp_path, monkeypatch):
    """Work is counted in patches made and elements compared, not in seconds."""
    asked = []
    real = np.searchsorted
    monkeypatch.setattr(
        planned_patches.np, "searchsorted", lambda rows, at: asked.append(len(at)) or real(rows, at)
    )
    for count in (40, 4000):
        frame = made(count).assign(
            store_row=range(count), shard=np.arange(count) // SHARD_ROWS, status="planned"
        )
        PATCHES.write(frame, tmp_path)
        patches = read_patches(tmp_path, SHARD_ROWS)
        asked.clear()
        assert len(patches.of_shard(5)) == SHARD_ROWS
        assert asked == [2]


def test_numbers_take_little_memory(tmp_path):
    frame = made(2000).assign(status="planned")
    PATCHES.write(frame, tmp_path)
    patches = read_patches(tmp_path, SHARD_ROWS)
    held = sum(part.nbytes for part in vars(patches).values() if isinstance(part, np.ndarray))
    assert held <= 45 * len(frame)


def test_a_location_with_another_name(tmp_path):
    frame = made(3).assign(status="planned")
    frame.loc[1, "location_id"] = "here"
    PATCHES.write(frame, tmp_path)
    with pytest.raises(DamagedError, match="not named after its window"):
        read_patches(tmp_path, SHARD_ROWS)


@pytest.mark.parametrize("kind", ["missing", "damaged", "short"])
def test_a_table_that_cannot_be_read(tmp_path, kind):
    path = tmp_path / PATCHES.file
    if kind == "damaged":
        path.write_bytes(b"PAR1")
    if kind == "short":
        made(3).drop(columns="sources").to_parquet(path)
    with pytest.raises(DamagedError if kind == "damaged" else UsageError, match={
        "missing": "There is no patches.parquet", "damaged": "cannot be read", "short": "Columns are missing: sources",
    }[kind]):  # fmt: skip
        read_patches(tmp_path, SHARD_ROWS)


def test_eligible_tiles(tmp_path):
    place = {
        "epsg": 32632,
        "lattice_col": 10,
        "lattice_row": -20,
        "height": 150,
        "width": 160,
        "version": "V1",
    }
    rows = [
        {"tile_id": f"T{k}", "path": f"p{k}", "mask": f"m{k}", "eligible": k % 3 != 0, **place,
         "band_index": [k % 2, 5, 6], "content": None if k % 2 else f'{{"IMAGE": "{k}"}}'}
        for k in range(8)
    ]  # fmt: skip
    TILES.write(TILES.frame(rows), tmp_path)
    tiles = read_tiles(tmp_path)
    assert list(tiles) == ["T1", "T2", "T4", "T5", "T7"]
    assert tiles.paths == ["p1", "p2", "p4", "p5", "p7"]
    assert len(tiles.bands) == 2
    for name in tiles:
        row = rows[int(name[1:])]
        tile = tiles[name]
        assert (tile.tile_id, tile.path, tile.mask, tile.epsg) == (name, row["path"], row["mask"], 32632)
        assert (tile.box, tile.band_index) == (Box(20, 10, 150, 160), tuple(row["band_index"]))
        assert tile.content == (row["content"] or "")
        assert (tiles.path(name), tiles.version(name)) == (row["path"], "V1")
