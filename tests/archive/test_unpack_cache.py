"""Sharing unpacked archives: once, in any number of processes, whatever happens to one of them."""

import multiprocessing
import os
import signal
import time
import zipfile
from pathlib import Path

import pytest

from spectralearth_build.archive import unpack_cache as module
from spectralearth_build.archive.unpack_cache import UnpackCache
from spectralearth_build.errors import BrokenArchiveError
from spectralearth_build.synthetic.pack import pack_order

NAMES = "abcd"


@pytest.fixture(autouse=True)
def _room(monkeypatch):
    """How full the disk of the tests is does not matter to them."""
    monkeypatch.setattr(module, "FREE", 0.0)


@pytest.fixture
def order(tmp_path):
    zips = []
    for name in NAMES:
        zips.append(tmp_path / f"{name}.zip")
        with zipfile.ZipFile(zips[-1], "w") as archive:
            archive.writestr("x", os.urandom(100_000))
    return pack_order(zips, tmp_path / "order.tar.gz", keep=True)


def cache_of(order: Path, names: str = NAMES) -> UnpackCache:
    return UnpackCache(order.parent / "cache", {f"{order.name}!{name}.zip": 1 for name in names})


def inner(unpack_cache: UnpackCache, order: Path, name: str) -> bytes:
    return unpack_cache.inner(order, order.name, f"{name}.zip").read_bytes()


def test_one_pass_serves_all(order):
    unpack_cache = cache_of(order)
    found = {"b": inner(unpack_cache, order, "b")}
    order.unlink()
    found |= {name: inner(unpack_cache, order, name) for name in NAMES}
    assert found == {name: (order.parent / f"{name}.zip").read_bytes() for name in NAMES}


def test_only_what_tasks_need_is_kept_and_it_goes_when_released(order):
    unpack_cache = cache_of(order, "bd")
    inner(unpack_cache, order, "a")
    assert len(list(unpack_cache.folder.glob("*.zip"))) == 3
    for name in "abd":
        unpack_cache.release(f"{order.name}!{name}.zip")
    assert list(unpack_cache.folder.glob("*.zip")) == []
    assert list(unpack_cache.folder.glob("*.partial")) == []


def test_nothing_is_kept_for_others_on_a_full_disk(order, monkeypatch):
    monkeypatch.setattr(module, "FREE", 1.0)
    unpack_cache = cache_of(order)
    assert inner(unpack_cache, order, "c") == (order.parent / "c.zip").read_bytes()
    assert len(list(unpack_cache.folder.glob("*.zip"))) == 1


def test_room_is_not_taken_by_what_no_task_needs_any_more(order, monkeypatch):
    unpack_cache, passes, each = cache_of(order), [], module.unpack_each

    def counted(*arguments):
        passes.append(arguments)
        return each(*arguments)

    monkeypatch.setattr(module, "unpack_each", counted)
    monkeypatch.setattr(UnpackCache, "_room", lambda self, size: len(list(self.folder.glob("*.zip"))) < 2)
    for name in NAMES:
        assert inner(unpack_cache, order, name) == (order.parent / f"{name}.zip").read_bytes()
        unpack_cache.release(f"{order.name}!{name}.zip")
    assert len(passes) == 2  # two products each
    assert list(unpack_cache.folder.glob("*.zip")) == []


def test_damage_behind_a_member_hurts_only_those_behind(order):
    data = order.read_bytes()
    order.write_bytes(data[: len(data) * 5 // 8])
    unpack_cache = cache_of(order)
    for name in "bac":
        if name != "c":
            assert inner(unpack_cache, order, name) == (order.parent / f"{name}.zip").read_bytes()
    with pytest.raises(BrokenArchiveError):
        inner(unpack_cache, order, "d")
    with pytest.raises(BrokenArchiveError, match=r"e\.zip is absent"):
        inner(cache_of(order.parent / "whole.tar.gz"), pack_again(order), "e")


def pack_again(order: Path) -> Path:
    return pack_order(
        [order.parent / f"{name}.zip" for name in NAMES], order.parent / "whole.tar.gz", keep=True
    )


def test_a_task_sees_only_the_archives_that_concern_it():
    unpack_cache = UnpackCache(Path("s"), {"o.tar!a.zip": 1, "o.tar!b.zip": 2, "p.tar!a.zip": 1, "c.zip": 2})
    assert unpack_cache.only(["o.tar!a.zip", "c.zip"]).wanted == {
        "o.tar!a.zip": 1,
        "o.tar!b.zip": 2,
        "c.zip": 2,
    }
    assert [path for path in unpack_cache.wanted if unpack_cache.shared(path)] == ["o.tar!b.zip", "c.zip"]


def _make_slowly(folder: Path, log: Path, stuck: bool) -> None:
    def make(target: Path) -> None:
        with log.open("a") as file:
            file.write("made\n")
        target.write_bytes(b"half")
        time.sleep(60 if stuck else 0.2)
        target.write_bytes(b"whole")

    path = UnpackCache(folder, {"c.zip": 2}).layer("c.zip", "IMAGE", make)
    assert path.read_bytes() == b"whole"


def _started(*arguments: object) -> multiprocessing.Process:
    process = multiprocessing.get_context("spawn").Process(target=_make_slowly, args=arguments)
    process.start()
    return process


@pytest.mark.slow
def test_several_processes_make_a_file_once(tmp_path):
    log = tmp_path / "log"
    processes = [_started(tmp_path / "cache", log, False) for _ in range(3)]
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert log.read_text() == "made\n"


@pytest.mark.slow
def test_who_waits_for_a_killed_process_makes_the_file_itself(tmp_path):
    log = tmp_path / "log"
    stuck = _started(tmp_path / "cache", log, True)
    for _ in range(600):
        if log.exists():
            break
        time.sleep(0.05)
    waiting = _started(tmp_path / "cache", log, False)
    time.sleep(0.5)
    assert waiting.is_alive()
    os.kill(stuck.pid, signal.SIGKILL)
    waiting.join(60)
    stuck.join()
    assert waiting.exitcode == 0
    assert log.read_text() == "made\nmade\n"
