import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from spectralearth_build.errors import DamagedError, UsageError
from spectralearth_build.reading import byte_source
from spectralearth_build.reading.byte_source import FileSource, ObjectSource, source_of


def open_files(folder):
    """Descriptors of this process that lead into a folder."""
    links = list(Path("/proc/self/fd").iterdir())
    return sum(str(link.readlink()).startswith(str(folder)) for link in links if link.is_symlink())


@pytest.fixture
def files(tmp_path):
    for k in range(6):
        (tmp_path / f"f{k}").write_bytes(bytes([k]) * 1000 + bytes(range(100)))
    return tmp_path


def test_fetch_and_tail(files):
    from_files = FileSource(files)
    assert bytes(from_files.fetch("f3", 998, 4)) == b"\x03\x03\x00\x01"
    assert from_files.tail("f2", 3) == (bytes([97, 98, 99]), 1100)
    assert from_files.tail("f2", 5000)[0] == from_files.whole("f2")
    assert bytes(from_files.fetch("f1", 5, 0)) == b""
    with pytest.raises(FileNotFoundError):
        from_files.fetch("nothing", 0, 1)
    with pytest.raises(DamagedError, match=r"f1: The file ends at byte 1100, 10 bytes early"):
        from_files.fetch("f1", 1090, 20)


def test_only_so_many_files_stay_open(files):
    few = FileSource(files, open_files=2)
    for k in (0, 1, 2, 3, 4, 5, 0, 1, 5):
        assert few.fetch(f"f{k}", 0, 1)[0] == k
        assert open_files(files) <= 2
    del few
    assert open_files(files) == 0


def test_a_file_closes_only_after_its_last_reader(files):
    """With one open file and many threads, descriptors are taken away while others read from them."""
    one = FileSource(files, open_files=1)

    def read(k):
        return all(bytes(one.fetch(f"f{k % 6}", 10, 900)) == bytes([k % 6]) * 900 for _ in range(200))

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(read, range(6)))
    assert open_files(files) <= 1


def test_each_thread_has_a_buffer(files):
    both = FileSource(files)
    mine = both.fetch("f1", 0, 10)
    thread = threading.Thread(target=lambda: both.fetch("f2", 0, 10))
    thread.start()
    thread.join()
    assert bytes(mine) == b"\x01" * 10
    both.fetch("f3", 0, 10)
    assert bytes(mine) == b"\x03" * 10  # the same memory again: nothing was allocated


def test_places():
    assert isinstance(source_of("/a/b"), FileSource)
    assert source_of("file:///a/b").where("c") == "/a/b/c"
    with pytest.raises(UsageError, match="https"):
        source_of("https://example.org/x")


def test_a_forked_child_is_refused_an_object_store(monkeypatch):
    pytest.importorskip("obstore")
    monkeypatch.setattr(
        byte_source, "_process", os.getpid() + 1
    )  # as in a child of a process that used obstore
    remote = source_of("s3://bucket/x")
    assert isinstance(remote, ObjectSource)
    with pytest.raises(UsageError, match="spawn"):
        remote.fetch("a", 0, 1)
