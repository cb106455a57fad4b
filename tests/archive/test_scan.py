"""The scan stage: one row per product, resuming, versions and copies, tile lists."""

import gzip
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from spectralearth_build import mask
from spectralearth_build.archive import scan as stage
from spectralearth_build.archive import unpack_cache
from spectralearth_build.archive.scan import scan
from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.cluster.task import Failure
from spectralearth_build.config import Config
from spectralearth_build.errors import UnreadableFileError, UsageError
from spectralearth_build.layout import SCRATCH
from spectralearth_build.overlap.lattice import Box
from spectralearth_build.synthetic.pack import pack, pack_order
from spectralearth_build.synthetic.product import Layout
from spectralearth_build.tables import TILES

NEWER = {"version": "V010503", "processed": datetime(2024, 9, 1, tzinfo=UTC)}


@dataclass
class Place:
    """An archive and a dataset beside it."""

    archive: Path
    dataset: Path

    def scan(self, executor=None, **settings):
        config = Config(scan=settings)
        return scan(self.archive, self.dataset, config, executor or InlineExecutor())

    def statuses(self, **settings) -> dict[str, tuple[str, str]]:
        frame = self.scan(**settings)
        return {row.path: (row.status, row.error_class) for row in frame.itertuples()}

    def state(self) -> dict[str, tuple[int, int]]:
        return {
            str(path.relative_to(self.dataset)): (path.stat().st_mtime_ns, path.stat().st_ino)
            for path in sorted(self.dataset.rglob("*"))
        }


@pytest.fixture
def place(tmp_path) -> Place:
    (tmp_path / "archive").mkdir()
    return Place(tmp_path / "archive", tmp_path / "dataset")


@pytest.fixture
def reads(monkeypatch) -> list[str]:
    """Paths of the products that are read."""
    seen: list[str] = []
    real = stage.inspect_product

    def counting(product, *rest):
        seen.append(product.path)
        return real(product, *rest)

    monkeypatch.setattr(stage, "inspect_product", counting)
    return seen


SOUND = ("unused", "")


def spoil(folder: Path) -> None:
    next(folder.glob("*SPECTRAL_IMAGE*")).write_bytes(b"")


def test_an_empty_archive(place):
    assert len(place.scan()) == 0
    assert len(TILES.read(place.dataset)) == 0


def test_the_table_says_what_the_products_are(place, make):
    one = make(tile=1)
    other = make(
        tile=2, seed=1, epsg=32733, box=Box(-210703, 15569, 40, 130), started=datetime(2024, 1, 1, tzinfo=UTC)
    )
    frame = place.scan()
    assert list(frame["path"]) == [one.name, other.name]
    assert list(frame["tile_id"]) == ["DT0000001849_001", "DT0000001849_002"]
    assert list(frame["epsg"]) == [32633, 32733]
    assert frame["eligible"].all()
    assert set(zip(frame["status"], frame["reason"], strict=True)) == {("unused", "Not planned yet.")}
    assert frame.crs == "EPSG:4326"
    assert frame["geometry"].is_valid.all()
    assert str(frame["acquired"][0]) == "2024-07-08 10:44:07.036933+00:00"
    for row in frame.itertuples():
        coded = mask.load(place.dataset / row.mask)
        assert coded.shape == (row.height, row.width)
        assert (coded & mask.VALID).mean() == pytest.approx(row.valid_fraction)
    pd.testing.assert_frame_equal(TILES.read(place.dataset), frame)


@pytest.mark.slow
def test_again_nothing_is_read_and_nothing_written(place, make, reads):
    make(tile=1)
    pack_order([pack(make(tile=2))], place.archive / "order.tar.gz")
    spoil(make(tile=3))
    make(tile=4, layout=Layout(prefixed=False)).rename(place.archive / "nameless")
    first = place.scan()
    assert len(reads) == 5  # the bad one twice
    reads.clear()
    before = place.state()
    second = place.scan()
    assert reads == []
    assert {k: v for k, v in place.state().items() if v != before.get(k)} == {}
    pd.testing.assert_frame_equal(first, second)


@pytest.mark.slow
def test_only_what_changed_is_read_again(place, make, reads):
    one, two = make(tile=1), make(tile=2)
    place.scan()
    reads.clear()
    os.utime(next(two.glob("*CLOUD.TIF")), (1, 1))
    place.scan()
    assert reads == [two.name]
    reads.clear()
    place.scan(validity="classes")
    assert sorted(reads) == [one.name, two.name]
    place.scan(validity="classes", band_tolerance_nm=0.7)
    assert len(reads) == 4


@pytest.mark.parametrize("loss", ["mask", "record", "garbage", "row", "table"])
def test_what_is_lost_is_made_again(place, make, reads, loss):
    make()
    frame = place.scan()
    reads.clear()
    record = next((place.dataset / "work" / "scan").iterdir())
    if loss == "mask":
        (place.dataset / frame["mask"][0]).unlink()
    elif loss == "record":
        record.unlink()
    elif loss == "garbage":
        record.write_text("[" * 50)
    elif loss == "row":
        record.write_text('{"stamp": 1}')
    else:
        (place.dataset / "tiles.parquet").write_bytes(b"x")
    pd.testing.assert_frame_equal(place.scan(), frame)
    assert len(reads) == (loss != "table")
    assert (place.dataset / frame["mask"][0]).is_file()
    pd.testing.assert_frame_equal(TILES.read(place.dataset), frame)


def test_copies_and_versions_are_listed_and_not_read(place, make, reads):
    old, new = make(), make(seed=1, **NEWER)
    zipped = pack(new, keep=True)
    order = pack_order([zipped], place.archive / "order.tar.gz", keep=True)
    old_zip = pack(old, keep=True)
    assert place.statuses() == {
        old.name: ("superseded", ""),
        old_zip.name: ("superseded", ""),
        new.name: SOUND,
        zipped.name: ("duplicate", ""),
        f"{order.name}!{zipped.name}": ("duplicate", ""),
    }
    assert reads == [new.name]
    frame = TILES.read(place.dataset).set_index("path")
    assert frame["eligible"].sum() == 1
    assert frame.loc[old.name, "reason"] == f"{new.name} is newer."
    assert frame.loc[zipped.name, "reason"] == f"The same product is used from {new.name}."
    assert frame.loc[old.name, "version"] == "V010502"


def test_a_damaged_newer_version_takes_nothing_away(place, make):
    old = make()
    alone = place.scan().iloc[0]
    new = make(**NEWER)
    spoil(new)
    assert place.statuses() == {old.name: SOUND, new.name: ("quarantined", "EmptyFileError")}
    row = TILES.read(place.dataset).set_index("path").loc[old.name]
    assert (
        row.drop(labels="geometry").to_dict().keys()
        == alone.drop(labels=["geometry", "path"]).to_dict().keys()
    )
    assert row["fingerprint"] == alone["fingerprint"]


def test_a_damaged_copy_takes_nothing_away(place, make):
    folder = make()
    zipped = pack(folder, keep=True)
    spoil(folder)
    assert place.statuses() == {folder.name: ("quarantined", "EmptyFileError"), zipped.name: SOUND}


def test_all_versions_damaged(place, make):
    old, new = make(), make(**NEWER)
    spoil(old)
    spoil(new)
    assert set(place.statuses().values()) == {("quarantined", "EmptyFileError")}


def test_a_repaired_product_comes_back(place, make):
    folder = make()
    image = next(folder.glob("*SPECTRAL_IMAGE*"))
    content = image.read_bytes()
    spoil(folder)
    assert place.statuses() == {folder.name: ("quarantined", "EmptyFileError")}
    image.write_bytes(content)
    assert place.statuses() == {folder.name: SOUND}


def test_permissions_that_were_mended_count_without_a_new_date(place, make, reads, monkeypatch):
    make()
    real = stage.inspect_product

    def refused(*_):
        raise UnreadableFileError("The file cannot be read.", "x")

    monkeypatch.setattr(stage, "inspect_product", refused)
    assert place.scan()["error_class"][0] == "UnreadableFileError"
    monkeypatch.setattr(stage, "inspect_product", real)
    assert place.scan()["status"][0] == "unused"


def test_a_fault_of_the_machine_is_tried_again(place, make, monkeypatch):
    make()
    real = stage.inspect_product
    monkeypatch.setattr(stage, "inspect_product", lambda *_: bytearray(-1))
    frame = place.scan()
    assert (frame["status"][0], frame["error_class"][0]) == ("quarantined", "ValueError")
    monkeypatch.setattr(stage, "inspect_product", real)
    assert place.scan()["status"][0] == "unused"


def test_other_levels_are_rejected_and_hide_nothing(place, make, reads):
    sound = make()
    other = make(level="L1C", **NEWER)
    assert place.statuses() == {sound.name: SOUND, other.name: ("rejected", "WrongLevelError")}
    assert reads == [sound.name]


def test_messages_say_paths_below_the_archive(place, make):
    folder = make()
    spoil(folder)
    reason = place.scan()["reason"][0]
    assert (
        reason
        == f"{folder.name}/{folder.name}-SPECTRAL_IMAGE.TIF: The file is empty. Download the product again."
    )


def test_names_that_only_the_metadata_say(place, make):
    make(layout=Layout(prefixed=False)).rename(place.archive / "nameless")
    lost = make(tile=2, layout=Layout(prefixed=False)).rename(place.archive / "lost")
    (lost / "METADATA.XML").unlink()
    frame = place.scan().set_index("path")
    assert frame.loc["nameless", "tile_id"] == "DT0000001849_001"
    assert frame.loc["nameless", "status"] == "unused"
    assert frame.loc["lost", "error_class"] == "MissingFileError"
    assert frame.loc["lost", "product_id"] == "lost"


@pytest.mark.slow
def test_what_planning_said_stays_as_long_as_the_tile_does(place, make):
    make(tile=1)
    make(tile=2)
    frame = place.scan()
    frame.loc[0, ["status", "reason"]] = ["used", ""]
    frame.loc[1, ["status", "reason", "error_class"]] = ["rejected", "Night.", "PoorQualityError"]
    TILES.write(frame, place.dataset)
    before = place.state()
    pd.testing.assert_frame_equal(place.scan(), frame)
    assert place.state() == before
    third = make(tile=3)
    again = place.scan()
    assert list(again["status"]) == ["used", "rejected", "unused"]
    assert list(again["reason"]) == ["", "Night.", "Not planned yet."]
    shutil.rmtree(third)
    make(tile=1, seed=7)
    assert list(place.scan()["status"]) == ["unused", "rejected"]


def test_a_tile_list(place, make, capsys, tmp_path, reads):
    old, new, other = make(), make(**NEWER), make(tile=2)
    spoil(make(tile=3))
    wanted = tmp_path / "tiles.csv"
    wanted.write_text(
        "tile_id,version\nDT0000001849_001,V010502\nDT0000001849_003,\nDT0000001849_009,V010402\n"
    )
    frame = place.scan(manifest=str(wanted)).set_index("path")
    assert frame.loc[old.name, "status"] == "unused"
    assert len(frame) == 2
    assert {new.name, other.name}.isdisjoint(reads)
    out = capsys.readouterr().out
    assert "not in the archive: DT0000001849_009 V010402" in out
    assert "1 of 3 listed tiles" in out
    assert len(place.scan()) == 4


def test_no_archive(place):
    with pytest.raises(UsageError, match="not a folder"):
        scan(place.archive / "none", place.dataset, Config(), InlineExecutor())
    with pytest.raises(UsageError, match="cannot be read"):
        place.scan(manifest="none.csv")


class Crashing(InlineExecutor):
    """Loses the worker on tile 2."""

    def run(self, stage, function, tasks) -> Iterator:
        yield from super().run(
            stage, function, {key: task for key, task in tasks.items() if "_002" not in key}
        )
        yield from ((key, Failure(key, "WorkerLostError", "It crashed.")) for key in tasks if "_002" in key)


def test_a_lost_worker_is_a_row(place, make, reads):
    make(tile=1)
    make(tile=2)
    frame = place.scan(Crashing())
    assert list(frame["status"]) == ["unused", "quarantined"]
    assert list(frame["error_class"]) == ["", "WorkerLostError"]
    assert list(frame["reason"])[1] == "It crashed."
    assert len(reads) == 1
    assert list(place.scan()["status"]) == ["unused", "unused"], "the machine may have been to blame"
    assert len(reads) == 2


def test_results_that_do_not_arrive(place, make):
    make()

    class Elsewhere(InlineExecutor):
        def run(self, stage, function, tasks):
            return ((key, None) for key in tasks)

    with pytest.raises(UsageError, match="disk that all workers share"):
        place.scan(Elsewhere())


def test_scratch_is_cleaned(place, make):
    pack(make())
    place.scan()
    assert not (place.dataset / "work" / "scratch").exists()


def test_the_archive_is_never_written_to(place, make):
    make(tile=1)
    pack(make(tile=2))
    before = {path: path.stat().st_mtime_ns for path in place.archive.rglob("*")}
    place.scan()
    assert {path: path.stat().st_mtime_ns for path in place.archive.rglob("*")} == before


def test_verdicts_of_earlier_versions_are_passed_again(place, make, reads):
    """A record as version 1 wrote it: a coast was quarantined for the zeros of its sea."""
    folder = make()
    place.scan()
    record = next((place.dataset / "work" / "scan").iterdir())
    stamp = json.loads(record.read_text())["stamp"].split(" ", 1)[1]
    old = {"error_class": "HoleError", "status": "quarantined", "row": {}, "stamp": f"1 {stamp}"}
    record.write_text(json.dumps(old | {"reason": "Band 100 holds nothing but zeros in line 987."}))
    reads.clear()
    assert place.statuses() == {folder.name: SOUND}
    assert reads == [folder.name]


@pytest.mark.slow
def test_what_is_accepted_of_one_tile_touches_no_other(place, make, reads, capsys):
    one, two = make(tile=1), make(tile=2)
    for folder in (one, two):
        path = next(folder.glob("*METADATA.XML"))
        path.write_text(re.sub(r"(<heightOfOrthoScene>)\d+", r"\g<1>41", path.read_text()))
    assert place.statuses() == dict.fromkeys((one.name, two.name), ("quarantined", "MetadataMismatchError"))
    reads.clear()
    accept = ("DT0000001849_001=size", "DT0000009999_001")
    statuses = place.statuses(accept=accept)
    assert statuses == {one.name: SOUND, two.name: ("quarantined", "MetadataMismatchError")}
    assert reads == [one.name]
    assert "scan.accept names tiles that are not in the archive: DT0000009999_001" in capsys.readouterr().out
    assert TILES.read(place.dataset).set_index("path")["accepted"].fillna("").to_dict() == {
        one.name: "size",
        two.name: "",
    }
    reads.clear()
    assert place.statuses(accept=accept) == statuses
    assert reads == []
    assert place.statuses()[one.name] == ("quarantined", "MetadataMismatchError")


class _Counting(gzip.GzipFile):
    """Counts the bytes that are decompressed."""

    unpacked = 0

    def read(self, size=-1):
        data = super().read(size)
        _Counting.unpacked += len(data)
        return data


@pytest.mark.slow
def test_a_tar_of_many_products_is_unpacked_once(place, make, monkeypatch):
    zips = [pack(make(tile=tile, seed=tile)) for tile in range(1, 6)]
    order = pack_order(zips, place.archive / "order.tar.gz")
    whole = len(gzip.decompress(order.read_bytes()))
    monkeypatch.setattr(unpack_cache, "FREE", 0.0)
    monkeypatch.setattr("spectralearth_build.archive.container.gzip.GzipFile", _Counting)
    monkeypatch.setattr(_Counting, "unpacked", 0)
    assert set(place.statuses().values()) == {SOUND}
    assert whole < _Counting.unpacked <= 2 * whole  # once to list it, once to unpack it
    assert not (place.dataset / SCRATCH).exists()


@pytest.mark.slow
def test_a_full_disk_holds_one_product_of_a_tar_at_a_time(place, make, monkeypatch):
    zips = [pack(make(tile=tile, seed=tile)) for tile in range(1, 4)]
    pack_order(zips, place.archive / "order.tar.gz")
    monkeypatch.setattr(unpack_cache, "FREE", 1.0)
    held = []
    real = stage.inspect_product

    def counting(*arguments):
        held.append(len([*(place.dataset / SCRATCH / unpack_cache.UNPACKED).glob("*.zip")]))
        return real(*arguments)

    monkeypatch.setattr(stage, "inspect_product", counting)
    assert set(place.statuses().values()) == {SOUND}
    assert held == [1, 1, 1]
