"""Datasets for the loader; shared ones must not be changed."""

import shutil
import threading

import pytest

from tests.support import loader_data


@pytest.fixture(scope="session")
def known(tmp_path_factory):
    """A dataset whose every pixel is known. Shared."""
    return loader_data.make(tmp_path_factory.mktemp("loader") / "dataset")


@pytest.fixture
def own(known, tmp_path):
    """A copy of one's own."""
    shutil.copytree(known.folder, tmp_path / "own")
    return loader_data.Known(tmp_path / "own", known.patches)


@pytest.fixture(autouse=True)
def no_threads_stay():
    """No test may leave a thread of a loader behind."""
    yield
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("loader-")]
