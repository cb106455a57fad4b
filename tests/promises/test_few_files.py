"""Few file descriptors: whatever cannot be opened for want of them convicts no product and damages no file."""

from __future__ import annotations

import os
import resource
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from spectralearth_build.checking.verify import verify
from spectralearth_build.dataset.access import open_dataset
from spectralearth_build.errors import MachineError
from spectralearth_build.loader import open_reader
from spectralearth_build.progress import set_quiet
from spectralearth_build.tables import TILES
from tests.support.files import tree
from tests.support.small_archive import archive_of, run_stages

ENOUGH = 64
# What zarr leaves behind when its event loop cannot be made.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return archive_of(tmp_path_factory.mktemp("few") / "archive", 1, 2)


@pytest.fixture(scope="module")
def finished(archive, tmp_path_factory):
    return run_stages(archive, tmp_path_factory.mktemp("finished") / "d")


@pytest.fixture(autouse=True)
def _quiet():
    set_quiet(True)
    yield
    set_quiet(False)


@contextmanager
def only(spare):
    """Leave so many file descriptors to this process."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = [os.open(os.devnull, os.O_RDONLY)]
    resource.setrlimit(
        resource.RLIMIT_NOFILE,
        (max(int(path.name) for path in Path("/proc/self/fd").iterdir()) + ENOUGH, before[1]),
    )
    try:
        with suppress(OSError):
            while True:
                held.append(os.open(os.devnull, os.O_RDONLY))
        for _ in range(spare):
            os.close(held.pop())
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for descriptor in held:
            os.close(descriptor)


@pytest.mark.parametrize("spare", [2, 3, 4, 5, 6, 8, 12])
def test_a_build_stops_or_succeeds(archive, finished, tmp_path, spare):
    with only(spare), suppress(MachineError):
        run_stages(archive, tmp_path / "d")
    if (tmp_path / "d" / TILES.file).is_file():
        assert set(TILES.read(tmp_path / "d")["status"]) <= {"used", "unused"}
    assert list((tmp_path / "d").rglob("failed/*.json")) == []
    run_stages(archive, tmp_path / "d")
    assert tree(tmp_path / "d") == tree(finished)


@pytest.mark.parametrize("spare", [0, 1, 2, 3, 4, 5, 6, 8])
def test_verify_calls_nothing_damaged(finished, spare):
    before = tree(finished)
    with only(spare), suppress(MachineError):
        assert verify(finished) == []
    assert tree(finished) == before


def test_readers_close_what_they_do_not_need(finished):
    reader = open_reader(finished / "store.zarr" / "reflectance")
    expected = [reader.encoded(row) is not None for row in range(reader.layout.rows)]
    assert sum(expected) == 3
    reader = open_reader(finished / "store.zarr" / "reflectance")
    with only(1):
        found = [bytes(reader.encoded(row) or b"") != b"" for row in range(reader.layout.rows)]
    assert found == expected


@pytest.mark.parametrize("spare", [0, 1, 2, 3])
def test_queries_are_answered_or_say_why(finished, spare):
    with only(spare), suppress(MachineError):
        assert len(open_dataset(finished).query(bbox=(-180, -90, 180, 90))) == 3
