"""The study of `store_study`: planned, cut, published; shared by the session or one's own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from store_study import PLAN_ID, Study, made_locations, made_patches, made_tiles

from spectralearth_build import mask as masks
from spectralearth_build.config import load
from spectralearth_build.synthetic.product import Layers, Layout, write_product
from spectralearth_build.tables import LOCATIONS, OVERLAPS, PATCHES, TILES, TUPLES


@pytest.fixture(scope="session")
def planned_study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Products written and planned, nothing cut. Shared: copy before you change it."""
    folder = tmp_path_factory.mktemp("study")
    archive, dataset = folder / "archive", folder / "dataset"
    tiles = made_tiles()
    for tile in tiles.values():
        shape = (tile.spec.box.height, tile.spec.box.width)
        write_product(
            archive, tile.spec, tile.cube, Layers.clear(shape, tile.inside), Layout(compress="none")
        )
        none, level = np.zeros(shape, bool), np.zeros(shape, np.uint8)
        mask = masks.encode(tile.inside, none, none, none, level, none, none)
        masks.save(dataset / tile.row["mask"], mask)
    bad = {
        "product_id": "X",
        "tile_id": "DT0000000009_001",
        "status": "quarantined",
        "error_class": "EmptyFileError",
    }
    TILES.write(TILES.frame([*(tile.row for tile in tiles.values()), {**bad, "eligible": False}]), dataset)
    OVERLAPS.write(OVERLAPS.frame([]), dataset)
    TUPLES.write(TUPLES.frame([]), dataset)
    LOCATIONS.write(LOCATIONS.frame(sorted(made_locations(), key=lambda row: row["location_id"])), dataset)
    PATCHES.write(PATCHES.frame(made_patches(tiles)), dataset)
    config = load(overrides={"store.shard_rows": 2})
    settings = {
        f"{s}.{k}": v for s in ("quality", "plan", "store") for k, v in config.model_dump()[s].items()
    }
    inputs, generations = {"settings": settings, "tiles": {}}, [{"id": PLAN_ID, "first_shard": 0}]
    plan = {"id": PLAN_ID, "inputs": inputs, "generations": generations, "counts": {}, "estimate": {}}
    (dataset / "plan.json").write_text(json.dumps(plan))
    return Study(archive, dataset, tiles, config)


@pytest.fixture(scope="session")
def finished_study(planned_study: Study, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The same, cut and published. Shared: copy before you change it."""
    study = planned_study.copy(tmp_path_factory.mktemp("finished"))
    study.run()
    return study


@pytest.fixture
def planned(planned_study: Study, tmp_path: Path) -> Study:
    """A planned dataset of one's own, on the shared archive."""
    return planned_study.copy(tmp_path)


@pytest.fixture
def finished(finished_study: Study, tmp_path: Path) -> Study:
    """A finished dataset of one's own, on the shared archive."""
    return finished_study.copy(tmp_path)


@pytest.fixture
def unpublished(planned_study: Study, finished_study: Study, tmp_path: Path) -> Study:
    """A dataset of one's own with all shards committed and nothing published."""
    study = planned_study.copy(tmp_path)
    for name in ("commits", "store.zarr/reflectance"):
        shutil.copytree(finished_study.dataset / name, study.dataset / name)
    (study.dataset / "store.zarr/reflectance/zarr.json").unlink()
    return study
