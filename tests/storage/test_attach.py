"""Tasks that run at the same time in one process, as on a Dask worker of several threads."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from spectralearth_build.storage.attach import at, attached


@dataclass
class Noted:
    """Notes what it is asked for."""

    folder: Path
    calls: list[str] = field(default_factory=list)

    def settle(self):
        self.calls.append("settle")

    def release(self):
        self.calls.append("release")


@pytest.fixture
def one(tmp_path):
    return Noted(tmp_path / "folder")


def test_who_ends_first_leaves_the_folder_attached_for_the_other(one):
    inside, left = threading.Event(), threading.Event()

    def early():
        with attached(one):
            inside.wait(10)

    def late():
        with attached(one):
            inside.set()
            assert left.wait(10)
            assert at(one.folder / "x") is one
            assert one.calls == ["settle"]  # what was fetched may be in use here

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.submit(early), pool.submit(late)
        first.result()
        left.set()
        second.result()
    assert one.calls == ["settle", "release"]
    assert at(one.folder / "x") is None


def test_a_task_inside_of_the_run_gives_up_what_it_fetched(one):
    with attached(one):
        with attached(one):
            pass
        assert one.calls == ["settle", "release"]
        assert at(one.folder) is one
    assert at(one.folder) is None
