"""P11: whatever happens to a file of a finished dataset, verify sees it and names the patches, repair undoes it."""

from __future__ import annotations

import json
import random
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spectralearth_build.checking.verify import verify
from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.columns import ROW_GROUP, Table
from spectralearth_build.layout import shard_name, shard_path
from spectralearth_build.pipeline import Run
from spectralearth_build.publishing.publish import publish
from spectralearth_build.report.page import write_report
from spectralearth_build.store.commit import json_bytes
from spectralearth_build.store.manifest import entry_of_file
from spectralearth_build.store.seal import is_sealed, is_sealed_page, sealed
from spectralearth_build.store.shard import ShardReader
from spectralearth_build.tables import LOCATIONS, OVERLAPS, PATCHES, QUARANTINE, TILES, TUPLES
from tests.support.files import flip_bit, tree
from tests.support.small_archive import CONFIG, archive_of, run_stages, write_tile


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return archive_of(tmp_path_factory.mktemp("damage") / "archive", 1, 2)


@pytest.fixture(scope="module")
def finished(archive, tmp_path_factory):
    dataset = tmp_path_factory.mktemp("finished") / "d"
    run_stages(archive, dataset)
    write_report(dataset)
    return dataset


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """A finished dataset of another archive: files of it are stale here."""
    folder = tmp_path_factory.mktemp("other")
    archive_of(folder / "archive", 1, 3)
    run_stages(folder / "archive", folder / "d")
    return folder / "d"


@pytest.fixture
def dataset(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "d")


def repaired(archive, dataset):
    """Repair; what is left."""
    return Run(dataset, CONFIG, InlineExecutor()).repair(archive)


def kinds(folder):
    """A file of every kind: each but the repeated ones, such as the second shard."""
    names = [name for name in tree(folder) if "c.1" not in name and "c.2" not in name]
    return [name for name in names if "shard-00000001" not in name and "shard-00000002" not in name]


def test_every_flipped_bit_is_seen(dataset, every_point):
    """One flip in every file at random places; in manifest and report, which vouch for themselves, many."""
    dice = random.Random(5)
    names = list(tree(dataset))
    print(f"one bit in each of {len(names)} files")
    assert len(names) > 35
    for name in names * (5 if every_point else 1):
        path = dataset / name
        bit = dice.randrange(8 * path.stat().st_size)
        flip_bit(path, bit)
        try:
            found = {damage.path for damage in verify(dataset)}
        except ValueError as error:
            pytest.fail(f"bit {bit} of {name}: {error!r}")
        assert name in found, (name, bit)
        flip_bit(path, bit)
    assert verify(dataset) == []


@pytest.mark.parametrize(("name", "sound"), [("manifest.json", is_sealed), ("report.html", is_sealed_page)])
def test_files_that_vouch_for_themselves(finished, name, sound):
    data, dice = (finished / name).read_bytes(), random.Random(6)
    assert sound(data)
    for _ in range(300):
        changed = bytearray(data)
        bit = dice.randrange(8 * len(data))
        changed[bit // 8] ^= 1 << bit % 8
        assert not sound(bytes(changed)), bit
    assert not sound(data[:-1])
    assert not sound(data + b"\n")
    assert not sound(b"")


def test_every_missing_and_truncated_file_is_seen_and_repaired(dataset, archive):
    """Some at a time; the manifest for itself, because without it little can be said of the rest."""
    before = tree(dataset)
    names = [name for name in kinds(dataset) if name != "manifest.json"]
    for some in (["manifest.json"], *(names[start : start + 6] for start in range(0, len(names), 6))):
        for number, name in enumerate(some):
            data = (dataset / name).read_bytes()
            (dataset / name).unlink()
            if number % 2 or name == "report.html":  # a dataset may have no report, but no part of one
                (dataset / name).write_bytes(data[: len(data) // 2])
        assert found_paths(dataset) >= set(some)
        assert repaired(archive, dataset) == [], some
        assert tree(dataset) == before, some


def found_paths(dataset):
    """Paths that verify or, without a manifest, repair complains about."""
    if not (dataset / "manifest.json").is_file() or not is_sealed((dataset / "manifest.json").read_bytes()):
        return {"manifest.json"}
    return {damage.path for damage in verify(dataset)}


def test_a_flipped_bit_in_a_patch_names_it_and_only_its_shard_is_cut_again(dataset, archive):
    before = tree(dataset)
    kept = {path: path.stat().st_ino for path in dataset.rglob("c.*.0.0.0")}
    patches = PATCHES.read(dataset)
    path = shard_path(dataset, 1)
    flip_bit(path, 8 * int(ShardReader(path, 1).index[0, 0]) + 800)
    expected = patches.loc[patches["shard"] == 1, "patch_id"].tolist()
    hit = {damage.patches for damage in verify(dataset) if damage.kind == "ChunkDamaged"}
    assert hit == {tuple(expected)}
    assert repaired(archive, dataset) == []
    assert tree(dataset) == before
    assert [p for p, inode in kept.items() if p.stat().st_ino != inode] == [path]


def test_swapped_shards(dataset, archive):
    before, (a, b) = tree(dataset), (shard_path(dataset, n) for n in (0, 1))
    first, second = a.read_bytes(), b.read_bytes()
    a.write_bytes(second)
    b.write_bytes(first)
    found = verify(dataset)
    assert {damage.path for damage in found} >= {shard_name(0), shard_name(1)}
    assert len({patch for damage in found for patch in damage.patches}) == 2
    assert repaired(archive, dataset) == []
    assert tree(dataset) == before


@pytest.mark.parametrize(
    "name",
    [shard_name(2), "commits/shard-00000002.json", "patches.parquet", "tiles.parquet", "manifest.json"],
)
def test_a_stale_file(dataset, other, archive, name):
    before = tree(dataset)
    shutil.copy(other / name, dataset / name)
    if name == "manifest.json":
        return  # sound in itself: all other files differ from it, and none can be told to be right
    assert name in {damage.path for damage in verify(dataset)}
    assert repaired(archive, dataset) == []
    assert tree(dataset) == before


def test_files_too_many_go_where_nothing_else_may_lie(dataset, archive, capsys):
    before = tree(dataset)
    extra = [f"store.zarr/{shard_name(77)[11:]}", "commits/shard-00000077.json", "store.zarr/x", "notes.txt"]
    for name in extra:
        (dataset / name).write_bytes(b"extra")
    assert {damage.path for damage in verify(dataset)} >= set(extra)
    left = repaired(archive, dataset)
    assert [damage.path for damage in left] == ["notes.txt"]
    (dataset / "notes.txt").unlink()
    assert tree(dataset) == before


def test_many_at_once_and_no_work_folder(dataset, archive):
    before = tree(dataset)
    shutil.rmtree(dataset / "work")
    for name in (
        shard_name(0),
        "tiles.parquet",
        "plan.png",
        "statistics.json",
        "commits/shard-00000001.json",
    ):
        (dataset / name).unlink()
    assert repaired(archive, dataset) == []
    assert tree(dataset) == before


def test_one_repair_mends_what_other_damage_hid(dataset, archive):
    """Without its plan nobody can tell whether a shard that is there is sound."""
    before = tree(dataset)
    (dataset / "plan.json").unlink()
    flip_bit(dataset / shard_name(0), 8000)
    assert repaired(archive, dataset) == []
    assert tree(dataset) == before


def test_a_lost_record_of_a_grown_dataset_is_made_again_without_planning_again(dataset, archive, tmp_path):
    more = shutil.copytree(archive, tmp_path / "archive")
    write_tile(more, 5)
    run_stages(more, dataset)
    write_report(dataset)
    before = tree(dataset)
    (dataset / "commits/shard-00000000.json").unlink()
    assert repaired(more, dataset) == []
    assert tree(dataset) == before


def test_what_the_archive_does_not_have_is_said_and_left(dataset, archive, tmp_path):
    poor = shutil.copytree(archive, tmp_path / "archive")
    shutil.rmtree(next(poor.iterdir()))
    before = tree(dataset)
    for number in range(3):
        flip_bit(shard_path(dataset, number), 80)
    left = repaired(poor, dataset)
    assert left
    changed = {name for name, digest in tree(dataset).items() if digest != before[name]}
    assert changed
    assert changed == {damage.path for damage in left}
    assert changed < {shard_name(n) for n in range(3)}


def of_before(dataset):
    """Make it a dataset of versions that knew no checksums of pixels, no quantities, and no ids of plans in tables."""
    for record in (dataset / "commits").glob("shard-*.json"):
        document = json.loads(record.read_bytes())
        del document["pixels"]
        record.write_text(json.dumps(document, sort_keys=True, separators=(",", ":")) + "\n")
    publish(dataset)
    plan = json.loads((dataset / "plan.json").read_bytes())
    del plan["inputs"]["settings"]["scan.correction"]
    (dataset / "plan.json").write_text(json.dumps(plan, indent=1, sort_keys=True))
    for table in (TILES, LOCATIONS, PATCHES, OVERLAPS, TUPLES, QUARANTINE):
        early = table.of_before((dataset / table.file).read_bytes())
        assert not LATER & set(pq.read_schema(pa.BufferReader(early)).names)
        (dataset / table.file).write_bytes(early)
    manifest = json.loads((dataset / "manifest.json").read_bytes())
    for name in manifest["files"]:
        manifest["files"][name] = entry_of_file(dataset / name)
    del manifest["settings"]["scan.correction"]
    (dataset / "manifest.json").write_bytes(json_bytes(sealed(manifest)))
    assert verify(dataset) == []


LATER = {
    "checksum",
    "content",
    "hole_fraction",
    "accepted",
    "correction",
    "water_type",
    "cirrus_haze_removal",
}
"""Columns that these versions did not know."""
RECORD = "commits/shard-00000000.json"
REWRITTEN = {TILES.file, LOCATIONS.file, PATCHES.file, "manifest.json"}


@pytest.mark.parametrize(
    "lost",
    [(shard_name(0),), (RECORD, shard_name(0)), ("plan.json",), (TILES.file, PATCHES.file, TUPLES.file)],
)
def test_a_dataset_of_before_is_repaired_to_what_it_was(archive, dataset, lost):
    """What is made again says what the manifest vouches for, and not more, as this version otherwise would."""
    of_before(dataset)
    whole = tree(dataset)
    for name in lost:
        (dataset / name).unlink()
    assert repaired(archive, dataset) == []
    changed = {name for name, digest in tree(dataset).items() if digest != whole[name]}
    assert changed <= (REWRITTEN if RECORD in lost else set())  # a lost record has tables published again


def test_tables_in_the_row_groups_of_before_are_repaired_to_what_they_were(archive, dataset, monkeypatch):
    """Earlier versions wrote tables of tiles in row groups of 131,072 rows, this one in smaller ones."""
    whole = tree(dataset)
    assert pq.read_metadata(dataset / TILES.file).num_rows > 1
    small = property(lambda table: 1 if table.rows_at_once else ROW_GROUP)
    monkeypatch.setattr(Table, "row_group", small)
    (dataset / TILES.file).unlink()
    assert repaired(archive, dataset) == []
    assert tree(dataset) == whole
    assert pq.read_metadata(dataset / TILES.file).num_row_groups == 1
