"""A dataset that grows, for tests: its tiles, and a folder that is planned again and again."""

import json
from pathlib import Path

import pandas as pd
import shapely

from spectralearth_build import config
from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.layout import NEXT
from spectralearth_build.overlap.geography import to_lonlat
from spectralearth_build.overlap.lattice import Box
from spectralearth_build.plan.planner import plan
from spectralearth_build.tables import LOCATIONS, PATCHES, TILES

EPSG, LINE, COL = 32632, -170_000, 16_600
STAYS = ["patch_id", "location_id", "tile_id", "datatake", "store_row", "shard", "generation"]


def tile(datatake, line, col, shape=(300, 300), number=1, **fields):
    box = Box(LINE + line, COL + col, *shape)
    name = f"DT{datatake:010d}"
    return {
        "product_id": f"ENMAP01-____L2A-{name}_20230101T000000Z_{number:03d}_V010402_20230102T000000Z",
        "tile_id": f"{name}_{number:03d}",
        "datatake": name,
        "tile": number,
        "acquired": pd.Timestamp("2023-01-01", tz="UTC") + pd.Timedelta(days=datatake),
        "epsg": EPSG,
        "lattice_col": box.col,
        "lattice_row": -box.line,
        "height": box.height,
        "width": box.width,
        "status": "unused",
        "eligible": True,
        "fingerprint": f"f{datatake}_{number}",
        "mask": "",
        "sun_elevation": 40.0,
        "overall_quality": 0,
        "geometry": to_lonlat(shapely.box(*box.bounds), EPSG),
        **fields,
    }


class Folder:
    """A dataset that is planned, and whose every plan counts as begun to be cut."""

    def __init__(self, path: Path, **overrides) -> None:
        self.path, self.rows, self.overrides = path, [], {"store.shard_rows": 2, **overrides}
        (path / "commits").mkdir(parents=True)

    def add(self, *rows, **overrides):
        """Plan with more tiles; a tile that is there already is replaced."""
        names = {row["tile_id"] for row in rows}
        self.rows = [row for row in self.rows if row["tile_id"] not in names] + list(rows)
        TILES.write(TILES.frame(self.rows), self.path)
        done = plan(self.path, config.load(None, {**self.overrides, **overrides}), InlineExecutor())
        self.take_over()
        (self.path / "commits" / "shard-00000000.json").write_text("{}")
        return done

    def take_over(self):
        """What waits takes its place, as when cut publishes."""
        for file in (self.path / NEXT).glob("*"):
            file.replace(self.path / file.name)

    def tree(self):
        return {p.name: p.read_bytes() for p in self.path.iterdir() if p.is_file()}

    @property
    def patches(self):
        return PATCHES.read(self.path)

    @property
    def locations(self):
        return LOCATIONS.read(self.path)

    @property
    def generations(self):
        return json.loads((self.path / "plan.json").read_text())["generations"]


def series(patches):
    """The dates of each location."""
    live = patches[patches["status"] != "retired"]
    assert live["patch_id"].is_unique
    return {name: set(dates) for name, dates in live.groupby("location_id")["datatake"]}
