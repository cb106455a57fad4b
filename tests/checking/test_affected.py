"""Which patches a missing shard affects: against a walk over all rows, with the work counted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from spectralearth_build.checking import affected as module
from spectralearth_build.checking.affected import Affected
from spectralearth_build.checking.damage import Damage
from spectralearth_build.checking.verify import verify
from spectralearth_build.layout import label_shard, shard_name
from spectralearth_build.tables import PATCHES


def made(count):
    random = np.random.default_rng(count)
    rows = random.permutation(3 * count)[:count]
    return pd.DataFrame({
        "patch_id": [f"p{row}" for row in rows], "store_row": rows, "shard": rows // 4,
        "status": random.choice(["planned", "written", "skipped", "retired"], count),
    })  # fmt: skip


def read(patches):
    schema = pa.schema([PATCHES.schema.field(name) for name in patches])
    return Affected(pa.Table.from_pandas(patches, schema=schema).to_batches(max_chunksize=77))


@pytest.mark.parametrize("path", [shard_name, lambda shard: label_shard("corine", shard)])
def test_patches_of_a_shard_are_those_with_pixels_in_it(path):
    patches = made(200)
    affected = read(patches)
    for shard in range(152):
        expected = [
            row.patch_id
            for row in patches.itertuples()
            if row.shard == shard and row.status in ("written", "retired")
        ]
        assert list(affected.named(Damage("FileMissing", path(shard), "")).patches) == expected


def test_names_of_a_shard_are_those_of_all_its_rows():
    patches = made(200)
    affected = read(patches)
    for shard in range(152):
        own = patches[patches["shard"] == shard]
        assert affected.names(shard) == dict(zip(own["store_row"], own["patch_id"], strict=True))


@pytest.mark.parametrize(
    "path", ["statistics.json", "commits/shard-00000001.json", "store.zarr/reflectance/c.x"]
)
def test_other_files_affect_no_patch(path):
    damage = Damage("FileMissing", path, "")
    assert read(made(50)).named(damage) == damage


def test_unknown_shards_affect_no_patch():
    damage = Damage("FileUnknown", shard_name(1), "")
    assert read(made(50)).named(damage) == damage


def test_each_missing_shard_costs_one_search(monkeypatch):
    searches, sorts = [], []
    search, sort = np.searchsorted, np.argsort
    monkeypatch.setattr(
        module.np,
        "searchsorted",
        lambda values, asked, **how: searches.append(len(values)) or search(values, asked, **how),
    )
    monkeypatch.setattr(
        module.np, "argsort", lambda values, **how: sorts.append(len(values)) or sort(values, **how)
    )
    for count in (100, 10_000):
        searches.clear()
        sorts.clear()
        patches = made(count)
        affected = read(patches)
        for shard in range(20):
            affected.named(Damage("FileMissing", shard_name(shard), ""))
        assert [length for length in searches if length == count] == [count] * 20  # the rest look for pieces
        assert len(searches) == 40
        assert sorts == [count]


def test_verify_names_the_patches_of_every_missing_shard(finished):
    for shard in (0, 3):
        (finished.dataset / shard_name(shard)).unlink()
    found = [damage for damage in verify(finished.dataset) if damage.kind == "FileMissing"]
    assert [(damage.path, len(damage.patches)) for damage in found] == [
        (shard_name(0), 2),
        (shard_name(3), 2),
    ]
