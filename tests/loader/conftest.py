"""What every test of the loader checks."""

import threading

import pytest


@pytest.fixture(autouse=True)
def no_threads_stay():
    """No test may leave a thread of a loader behind."""
    yield
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("loader-")]
