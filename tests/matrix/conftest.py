"""Servers, prepared inputs, and the cells played two at a time."""

import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from queue import SimpleQueue

import pytest

from tests.support.matrix.calling import Server
from tests.support.matrix.playing import Player
from tests.support.matrix.prepared import INLINE, Prepared

SIDE_BY_SIDE = 2


@pytest.fixture(scope="session")
def played(request):
    """Ask it for a cell: what is wrong with it.

    All cells of the session are played, whoever asks first; by a worker of pytest-xdist, one after the other as asked.
    """
    alone = not hasattr(request.config, "workerinput")
    side_by_side = SIDE_BY_SIDE if alone else 1
    root = Path(tempfile.mkdtemp(prefix="matrix-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, root)
        servers, free = [], SimpleQueue()
        pool = stack.enter_context(ThreadPoolExecutor(side_by_side))
        for server in pool.map(lambda n: Server(root, f"server-{n}"), range(side_by_side)):
            stack.callback(server.close)
            servers.append(server)
        (root / "prepared").mkdir()
        prepared = Prepared(root / "prepared", servers[0])
        for server in servers:
            server.warm(["build", str(prepared["archive"]), str(root / server.name), *INLINE])
            free.put(server)
        player = Player(prepared, request.config.getoption("--every-cell"))
        numbers = count()

        def play(key):
            server = free.get()
            try:
                return player.play(key, server, root / f"cell-{next(numbers)}")
            finally:
                free.put(server)

        futures = {key: pool.submit(play, key) for key in (keys_of(request.session) if alone else ())}
        stack.callback(pool.shutdown, cancel_futures=True)
        yield lambda key: futures[key].result() if key in futures else play(key)


def keys_of(session):
    """The cells that this session has selected."""
    return [
        item.callspec.params["key"] for item in session.items if "played" in getattr(item, "fixturenames", ())
    ]


def pytest_collection_modifyitems(config, items):
    """Take out the cells that only --every-cell plays."""
    if not config.getoption("--every-cell"):
        left = [item for item in items if item.get_closest_marker("every_cell")]
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if not item.get_closest_marker("every_cell")]
