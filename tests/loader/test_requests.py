"""What the loader asks of an object store: how much, how much at once, and how often it waits for an answer."""

import logging
import shutil
import threading
from collections import Counter
from concurrent.futures import CancelledError, Future

import numpy as np
import pytest

from spectralearth_build.loader import Loader, loader
from spectralearth_build.loader.lookahead import Lookahead
from spectralearth_build.loader.samples import Samples
from spectralearth_build.store.codec import checksum_of
from spectralearth_build.tables import PATCHES
from tests.support.loader_data import flat, pixels_of, rows_of

pytest.importorskip("obstore")
pytest.importorskip("moto")
from spectralearth_build.storage import client
from spectralearth_build.storage.client import Client
from spectralearth_build.storage.url import Remote
from tests.support.fault_proxy import between
from tests.support.s3_server import started

SHARD = "/c."


class Gate:
    """Holds requests for shards until they are let through, all that wait at once."""

    def __init__(self):
        self.changed = threading.Condition()
        self.waiting, self.rounds, self.most = 0, 0, 0

    def __call__(self, method, path):
        if SHARD not in path:
            return
        with self.changed:
            self.waiting += 1
            self.most = max(self.most, self.waiting)
            self.changed.notify_all()
            mine = self.rounds
            assert self.changed.wait_for(lambda: self.rounds > mine, 60)

    def let(self, count):
        """Wait until so many requests are held, and let them through."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.waiting == count, 60), self.waiting
            self.waiting, self.rounds = 0, self.rounds + 1
            self.changed.notify_all()


@pytest.fixture(scope="module")
def server(known, tmp_path_factory):
    """A server with a copy of the dataset that has checksums, so that sizes of shards need not be asked for."""
    folder = tmp_path_factory.mktemp("summed") / "set"
    shutil.copytree(known.folder, folder)
    sums = [checksum_of(pixels_of(row)) for row in known.patches["store_row"]]
    PATCHES.write(known.patches.assign(checksum=sums), folder)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with started() as running, pytest.MonkeyPatch.context() as patch:
        for name, value in running.environment().items():
            patch.setenv(name, value)
        client.store_of.cache_clear()
        running.make_bucket("asked-for")
        to = Client(Remote("s3", "asked-for", "set"))
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                to.put(str(path.relative_to(folder)), path.read_bytes())
        yield running
    client.store_of.cache_clear()


@pytest.fixture
def through(server, monkeypatch, tmp_path):
    """A function that leads clients through a proxy."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    opened = []

    def start(**options):
        proxy = between(server.host, server.port, **options)
        opened.append(proxy)
        running = proxy.__enter__()
        monkeypatch.setenv("AWS_ENDPOINT_URL", running.endpoint)
        client.store_of.cache_clear()
        return running

    yield start
    for proxy in opened:
        proxy.__exit__(None, None, None)
    client.store_of.cache_clear()


def shards_of(known):
    return Counter((known.written["store_row"] // 4).tolist())


def asked(proxy):
    """Requests for each shard, by method."""
    return {
        (method, int(path.rpartition(SHARD)[2].partition(".")[0])): count
        for (method, path), count in proxy.requests.items()
        if SHARD in path
    }


URL = "s3://asked-for/set"


def test_each_index_and_each_patch_is_asked_for_once(known, through):
    proxy = through()
    batches = list(Loader(URL, 4, as_numpy=True, threads=3))
    assert sorted(flat(rows_of(batches))) == sorted(known.written["store_row"])
    assert asked(proxy) == {("GET", shard): 1 + patches for shard, patches in shards_of(known).items()}


def test_a_second_epoch_asks_for_no_index(known, through):
    proxy = through()
    twice = Loader(URL, 4, as_numpy=True)
    for _ in range(2):
        assert len(list(twice)) == 4
    assert asked(proxy) == {("GET", shard): 1 + 2 * patches for shard, patches in shards_of(known).items()}


def test_the_first_batch_waits_twice(known, through):
    """Once for indices, once for patches."""
    gate = Gate()
    through(before=gate)
    batches = iter(Loader(URL, 15, as_numpy=True, threads=2))
    gate.let(len(shards_of(known)))
    gate.let(len(known.written))
    for batch in batches:
        for row, pixels in zip(batch["row"], batch["pixels"], strict=True):
            assert np.array_equal(pixels, pixels_of(row))
    assert gate.rounds == 2


def test_requests_grow_with_what_arrives():
    """Six at first, one more for each that arrives, at most ten."""
    begun = []

    def begin(sample):
        begun.append(sample)
        return {sample: Future()}

    ahead = Lookahead(iter([[k, k + 1, k + 2] for k in range(0, 60, 3)]), begin, int, first=6, most=10)
    batches = iter(ahead)
    assert next(batches) == [0, 1, 2]
    counts = []
    for sample in range(40):
        with ahead.requests(sample) as requests:
            assert list(requests) == [sample]
        counts.append(len(begun) - sample - 1)
    assert counts == [7, 8, 9, *[10] * 37]
    assert begun == list(range(50))
    assert next(batches) == [3, 4, 5]


@pytest.mark.parametrize("dates", [None, 2])
def test_no_more_patches_are_on_their_way_than_allowed(known, through, monkeypatch, dates):
    monkeypatch.setattr(loader, "REQUESTS", 3)
    open_at_once, request = [], Samples.request

    def counted(self, chosen):
        begun = request(self, chosen)
        open_at_once.append(len(begun))
        return begun

    monkeypatch.setattr(Samples, "request", counted)
    through()
    batches = Loader(URL, 4, dates=dates, as_numpy=True, threads=2)
    running = iter(batches)
    next(running)
    ahead = running._ahead
    assert ahead.open < 3 + (dates or 1)
    rest = list(running)
    assert len(rest) == len(batches) - 1
    assert ahead.open == 0
    assert sum(open_at_once) == (len(known.written) if dates is None else 9)  # one location has a single date


def test_a_loop_that_ends_early_cancels_what_is_on_its_way(known, through):
    gate = Gate()
    through(before=gate)
    batches = iter(Loader(URL, 15, as_numpy=True, threads=2))
    gate.let(len(shards_of(known)))
    with gate.changed:
        assert gate.changed.wait_for(lambda: gate.waiting == len(known.written), 60)
    waiting = batches._ahead.waiting()
    closing = threading.Thread(target=batches.close)
    closing.start()
    for request in waiting:
        with pytest.raises(CancelledError):
            request.result(60)
    gate.let(len(known.written))
    closing.join(60)
    assert not closing.is_alive()
    assert len(known.written) - 2 <= len(waiting) <= len(known.written)  # two threads may have begun
