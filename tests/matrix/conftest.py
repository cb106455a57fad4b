"""Servers, prepared inputs, and the cells played two at a time."""

import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import pytest

from tests.support.matrix.calling import Server
from tests.support.matrix.playing import Player
from tests.support.matrix.prepared import INLINE, Prepared

SIDE_BY_SIDE = 2


@pytest.fixture(scope="session")
def played(request):
    """Ask it for a cell: what is wrong with it. All cells of the session are played, whoever asks first."""
    keys = [
        item.callspec.params["key"]
        for item in request.session.items
        if "played" in getattr(item, "fixturenames", ())
    ]
    root = Path(tempfile.mkdtemp(prefix="matrix-"))
    servers = SimpleQueue()
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        all_servers = list(pool.map(lambda n: Server(root, f"server-{n}"), range(SIDE_BY_SIDE)))
        (root / "prepared").mkdir()
        prepared = Prepared(root / "prepared", all_servers[0])
        for server in all_servers:
            server.warm(["build", str(prepared["archive"]), str(root / server.name), *INLINE])
            servers.put(server)
        player = Player(prepared, request.config.getoption("--every-cell"))

        def play(number, key):
            server = servers.get()
            try:
                return player.play(key, server, root / f"cell-{number}")
            finally:
                servers.put(server)

        futures = {key: pool.submit(play, number, key) for number, key in enumerate(keys)}
        yield lambda key: futures[key].result()
        for future in futures.values():
            future.cancel()
    for server in all_servers:
        server.close()
    shutil.rmtree(root)


def pytest_collection_modifyitems(config, items):
    """Take out the cells that only --every-cell plays."""
    if not config.getoption("--every-cell"):
        left = [item for item in items if item.get_closest_marker("every_cell")]
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if not item.get_closest_marker("every_cell")]
