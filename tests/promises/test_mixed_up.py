"""Copies that mixed up files of datasets, or two shards of one: readers say so, whichever way they read."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from spectralearth_build import open_dataset
from spectralearth_build.checking.verify import verify
from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.errors import DamagedError
from spectralearth_build.export.patch_reader import PatchReader
from spectralearth_build.layout import shard_name, shard_path
from spectralearth_build.loader import GeoPatches, Loader, PatchDataset
from spectralearth_build.pipeline import Run
from spectralearth_build.store.codec import checksum_of
from spectralearth_build.store.commit import decode, json_bytes
from spectralearth_build.store.manifest import entry
from spectralearth_build.store.seal import KEY, sealed
from spectralearth_build.tables import LOCATIONS, PATCHES, TILES
from tests.support.files import tree
from tests.support.small_archive import CONFIG, cube_of, run_stages, spec_of, write_tile


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two datasets with a tile in common: a of tiles 1 and 2, b of tiles 1 and 3."""
    folder = tmp_path_factory.mktemp("mixed")
    for name, numbers in (("a", (1, 2)), ("b", (1, 3))):
        for number in numbers:
            write_tile(folder / f"{name}-archive", number)
        run_stages(folder / f"{name}-archive", folder / name)
    return folder


@pytest.fixture
def own(made, tmp_path):
    return shutil.copytree(made / "a", tmp_path / "a")


def by_patch(folder):
    dataset = open_dataset(folder)
    for patch in dataset.query().itertuples():
        dataset.patch(patch.location_id, patch.datatake)


def by_series(folder):
    dataset = open_dataset(folder)
    for location in dataset.query()["location_id"].unique():
        dataset.series(location)


def by_loader(folder):
    for _ in Loader(folder, batch_size=2, threads=1):
        pass


def by_loader_of_dates(folder):
    for _ in Loader(folder, batch_size=1, dates=2, threads=2, bands=[3, 5]):
        pass


def by_selection(folder):
    """A selection that was made without checksums."""
    chosen = open_dataset(folder).query(columns=["patch_id", "location_id", "acquired", "store_row"])
    for _ in Loader(folder, batch_size=2, patches=chosen):
        pass


def by_number(folder):
    dataset = PatchDataset(folder)
    for number in range(len(dataset)):
        dataset[number]


def by_place(folder):
    places = GeoPatches(folder)
    x, y, _ = places.bounds
    for moment in places.index.index:
        places[x, y, slice(moment.left, moment.left)]


def by_export(folder):
    dataset = open_dataset(folder)
    pixels = PatchReader(dataset, np.arange(202))
    for row in dataset.query()["store_row"]:
        pixels.read(row)


WAYS = (by_patch, by_series, by_loader, by_loader_of_dates, by_selection, by_number, by_place, by_export)


def refused(folder, words, way):
    with pytest.raises(DamagedError, match=words) as caught:
        way(folder)
    assert "Copy the dataset again" in str(caught.value)
    assert shard_name(0).rpartition("/")[0] in str(caught.value)


def shards_of(folder, number):
    frame = PATCHES.read(folder)
    return frame.loc[frame["datatake"] == spec_of(number).datatake, "shard"].tolist()


@pytest.mark.parametrize("way", WAYS)
def test_a_sound_dataset_is_read(made, way):
    way(made / "a")


@pytest.mark.parametrize("way", WAYS)
def test_two_shards_swapped(own, way):
    first, second = (shard_path(own, shards_of(own, number)[0]) for number in (1, 2))
    one, other = first.read_bytes(), second.read_bytes()
    first.write_bytes(other)
    second.write_bytes(one)
    refused(own, "does not contain the data that the table", way)


@pytest.mark.parametrize("way", [by_patch, by_loader])
def test_a_shard_of_another_dataset(made, own, way):
    (mine,), (its,) = shards_of(own, 2), shards_of(made / "b", 3)
    shutil.copy(shard_path(made / "b", its), shard_path(own, mine))
    refused(own, "does not contain the data that the table", way)


def test_a_damaged_shard_is_replaced_in_training_as_ever(own):
    first, second = (shard_path(own, shards_of(own, number)[0]) for number in (1, 2))
    shutil.copy(first, second)
    loader = Loader(own, batch_size=1, on_damage="replace")
    assert sum(len(batch["row"]) for batch in loader) == len(open_dataset(own).query())
    assert [spec_of(2).datatake in text for text in loader.damaged] == [True]


def test_checksums_are_those_of_the_source_pixels(made):
    tiles = TILES.read(made / "a").set_index("tile_id")
    places = open_dataset(made / "a").locations.set_index("location_id")
    seen = 0
    for patch in PATCHES.read(made / "a").itertuples():
        number, place = int(patch.datatake[2:]), places.loc[patch.location_id]
        box = spec_of(number).box
        line, col = -place["lattice_row"] - box.line, place["lattice_col"] - box.col
        index = np.asarray(tiles.loc[patch.tile_id, "band_index"])
        pixels = cube_of(number)[index, line : line + 128, col : col + 128]
        assert patch.checksum == checksum_of(pixels)
        seen += 1
    assert seen > 2
    check = np.frombuffer(b"123456789", np.uint8)
    assert checksum_of(check) == 0xE3069283  # the check value of CRC-32C
    assert checksum_of(np.array([0x3231], "<i2")) == checksum_of(np.array([0x3231], ">i2"))
    assert checksum_of(np.array([0x3231], "<i2")) == checksum_of(check[:2])


@pytest.fixture
def old(own):
    """The same dataset as the version before left it: nothing has checksums of pixels, tables bear no plans."""
    for each in (TILES, LOCATIONS, PATCHES):
        frame = each.read(own)
        each.write(frame.assign(checksum=None) if each is PATCHES else frame, own)
    manifest = json.loads((own / "manifest.json").read_bytes())
    for path in (own / "commits").glob("*.json"):
        document = json.loads(path.read_bytes())
        assert len(document.pop("pixels")) == len(document["rows"]) > 0
        path.write_bytes(json_bytes(document))
        assert decode(path.read_bytes()).encode() == path.read_bytes()
        manifest["files"][f"commits/{path.name}"] = entry(path.read_bytes())
    for each in (TILES, LOCATIONS, PATCHES):
        manifest["files"][each.file] = entry((own / each.file).read_bytes())
    del manifest[KEY]
    (own / "manifest.json").write_bytes(json_bytes(sealed(manifest)))
    return own


def test_a_dataset_of_before_is_read_and_verified(made, old):
    assert verify(old, made / "a-archive") == []
    for way in WAYS:
        way(old)


@pytest.mark.parametrize("way", WAYS)
def test_a_dataset_of_before_compares_sizes(old, way):
    first, second = (shard_path(old, shards_of(old, number)[0]) for number in (1, 2))
    assert first.stat().st_size != second.stat().st_size
    shutil.copy(first, second)
    refused(old, r"The shard has \d+ bytes, but manifest.json says \d+", way)


def test_a_dataset_of_before_grows(made, old, tmp_path):
    shutil.copytree(made / "a-archive", tmp_path / "archive")
    write_tile(tmp_path / "archive", 14)  # on the same ground as tile 2
    run_stages(tmp_path / "archive", old)
    assert verify(old, tmp_path / "archive") == []
    known = PATCHES.read(old).groupby("generation")["checksum"].count()
    assert known[0] == 0 < known[1]


@pytest.fixture(params=[TILES, LOCATIONS, PATCHES], ids=lambda table: table.file)
def table(request):
    return request.param


def of_table(folder, table):
    return getattr(open_dataset(folder), table.file.partition(".")[0])


def test_a_table_of_another_dataset(made, own, table):
    shutil.copy(made / "b" / table.file, own / table.file)
    with pytest.raises(
        DamagedError, match=f"{table.file}: The table does not belong to the store.*Copy the dataset again"
    ):
        of_table(own, table)
    if table is PATCHES:
        with pytest.raises(DamagedError, match="does not belong to the store"):
            Loader(own)
        with pytest.raises(DamagedError, match="does not belong to the store"):
            open_dataset(own).query(columns=["patch_id"])


def test_a_store_of_another_dataset(made, own, table):
    shutil.rmtree(own / "store.zarr")
    shutil.copytree(made / "b" / "store.zarr", own / "store.zarr")
    with pytest.raises(DamagedError, match="does not belong to the store"):
        of_table(own, table)


def test_a_table_from_before_a_growth(made, own, table, tmp_path):
    """The store has grown, a table is stale; the other way round, the plan is ahead of the store, all is well."""
    archive = shutil.copytree(made / "a-archive", tmp_path / "archive")
    write_tile(archive, 14)
    stale = (own / table.file).read_bytes()
    run = Run(own, CONFIG, InlineExecutor())
    run.scan(archive)
    run.plan()
    by_patch(own)
    of_table(own, table)
    run.cut(archive)
    run.scan(archive)  # which says nothing new
    assert verify(own) == []
    of_table(own, table)
    (own / table.file).write_bytes(stale)
    with pytest.raises(DamagedError, match="does not belong to the store"):
        of_table(own, table)


def test_a_table_of_another_dataset_of_before(made, old, table):
    size = (old / table.file).stat().st_size
    table.write(table.read(made / "b"), old)  # as a version before this would have written it
    assert table.plans_of(old) == ()
    if (old / table.file).stat().st_size == size:
        pytest.skip("of the same size")
    with pytest.raises(DamagedError, match=rf"{table.file}: The table has \d+ bytes, but manifest.json says"):
        of_table(old, table)


def test_repair_undoes_what_was_mixed_up(made, own):
    before = tree(own)
    first, second = (shard_path(own, shards_of(own, number)[0]) for number in (1, 2))
    shutil.copy(first, second)
    shutil.copy(made / "b" / PATCHES.file, own / PATCHES.file)
    assert Run(own, CONFIG, InlineExecutor()).repair(made / "a-archive") == []
    assert tree(own) == before
