"""Builds from and to object stores leave what builds from folder to folder leave."""

from __future__ import annotations

import json
import pickle
import shutil
from contextlib import suppress

import pytest

from spectralearth_build.cluster.attached import AttachedExecutor
from spectralearth_build.cluster.task import attempt
from spectralearth_build.errors import StorageError, UsageError
from spectralearth_build.files import write_bytes
from spectralearth_build.layout import LOCK
from spectralearth_build.places import at_work, both
from spectralearth_build.storage import client
from spectralearth_build.storage.attach import attached, current
from spectralearth_build.storage.client import Client
from spectralearth_build.storage.lease_object import leased
from tests.support.cloud_archive import build, tree, write_tile
from tests.support.s3_server import PLANTED


def test_the_tree_is_the_same(local_tree, cloud_set, s3_environment):
    dataset, staging = cloud_set
    assert tree(dataset) == local_tree
    shards = [path for path in staging.rglob("c.*.0.0.0") if path.is_file()]
    assert len(shards) == len([name for name in local_tree if "reflectance/c." in name]) > 4
    assert all(path.stat().st_size > 0 == path.stat().st_blocks for path in shards)
    assert not any(path.stat().st_blocks for path in staging.rglob("*SPECTRAL_IMAGE.TIF"))
    left = [meta.name for meta in Client(dataset).listing("work")]
    assert {name.split("/")[1] for name in left} == {"masks", "scan", "listings", "exact"}


@pytest.mark.slow
def test_local_to_remote_and_remote_to_local(local_tree, local_archive, cloud_archive, bucket, tmp_path):
    build(local_archive, bucket / "set", tmp_path / "one")
    assert tree(bucket / "set") == local_tree
    assert build(cloud_archive, tmp_path / "set", tmp_path / "two", compare=True) == []
    assert tree(tmp_path / "set") == local_tree


@pytest.mark.slow
def test_a_second_run_changes_nothing(local_tree, cloud_archive, finished, bucket, tmp_path, through):
    proxy = through()
    build(cloud_archive, finished, tmp_path / "one")
    build(cloud_archive, finished, tmp_path / "elsewhere")
    written = {path for method, path in proxy.requests if method in ("PUT", "POST", "DELETE")}
    prefix = f"/{bucket.bucket}"
    probes = {path for path in written if path.startswith(f"{prefix}/set/work/probe-")}
    assert len(probes) == 2
    allowed = {*probes, f"{prefix}/set/work/lock.json", f"{prefix}?delete"}
    assert [path for path in written if path not in allowed] == []
    assert not any(method == "GET" and "SPECTRAL_IMAGE" in path for method, path in proxy.requests)
    assert tree(finished) == local_tree


@pytest.mark.slow
def test_a_dataset_grows_as_a_local_one_does(local_archive, bucket, tmp_path):
    archive = tmp_path / "archive"
    shutil.copytree(local_archive, archive)
    sets = (bucket / "set", tmp_path / "set")
    for dataset in sets:
        build(archive, dataset, tmp_path / "staging")
    write_tile(archive, 8)
    for dataset in sets:
        build(archive, dataset, tmp_path / "staging")
    assert tree(sets[0]) == tree(sets[1])
    generations = json.loads((tmp_path / "set/plan.json").read_bytes())["generations"]
    assert len(generations) == 2


class Foreign:
    """Workers of another machine: they have none of the driver's files, and theirs are lost to the driver."""

    workers, memory_limit, elsewhere = 1, None, True

    def run(self, stage, function, tasks):
        for key, arguments in tasks.items():
            mirrors = [each.folder.parent for each in arguments[0]]
            message = pickle.dumps((function, arguments))
            assert not any(secret.encode() in message for secret in PLANTED)
            sent = pickle.loads(message)
            for folder in mirrors:
                folder.rename(folder.with_name(f"{folder.name}-driver"))
            try:
                outcome = self.there(key, *sent)
            finally:
                for folder in mirrors:
                    shutil.rmtree(folder, ignore_errors=True)
                    folder.with_name(f"{folder.name}-driver").rename(folder)
            yield key, outcome

    @staticmethod
    def there(key, function, arguments):
        from spectralearth_build.storage import attach

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(attach, "_attached", {})
            return attempt(key, function, arguments)


class ForeignWhenAttached:
    """An executor that is made where attachments are known."""

    workers, memory_limit, elsewhere = 1, None, True

    def run(self, stage, function, tasks):
        return AttachedExecutor(Foreign(), current()).run(stage, function, tasks)


@pytest.mark.slow
def test_workers_need_no_shared_disk(local_tree, cloud_archive, bucket, tmp_path):
    build(cloud_archive, bucket / "set", tmp_path, ForeignWhenAttached())
    assert tree(bucket / "set") == local_tree


def test_a_folder_of_another_run_is_not_trusted(bucket, tmp_path):
    with at_work(bucket / "set", str(tmp_path)) as folder:
        pass
    (folder / "work").mkdir()
    (folder / "work/stale").write_text("left by an earlier run on this machine")
    with at_work(bucket / "set", str(tmp_path / "driver")):
        mirror = current()[0]
        there = pickle.loads(pickle.dumps(mirror))
        object.__setattr__(there, "folder", folder)
        with attached(there):
            assert not (folder / "work").exists()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_faults_change_nothing(local_tree, cloud_archive, bucket, tmp_path, through, seed, capsys):
    proxy = through(rate=0.12, seed=seed)
    build(cloud_archive, bucket / "set", tmp_path)
    assert tree(bucket / "set") == local_tree
    with capsys.disabled():
        print(f"\nseed {seed}: {dict(sorted(proxy.counts.items()))}")
    assert min(proxy.counts[fault] for fault in ("unavailable", "reset", "lost", "cut")) > 0


@pytest.mark.slow
def test_a_store_that_is_gone_stops_the_run_and_convicts_no_product(
    local_tree, cloud_archive, bucket, tmp_path, through
):
    proxy = through()
    count = iter(range(10**6))
    proxy.before = lambda method, path: setattr(proxy, "rate", float(next(count) > 40))
    proxy.faults = ("unavailable",)
    with pytest.raises(StorageError, match="503"):
        build(cloud_archive, bucket / "set", tmp_path)
    proxy.before = lambda method, path: None
    proxy.rate = 0.0
    build(cloud_archive, bucket / "set", tmp_path)
    assert tree(bucket / "set") == local_tree


def test_two_runs_on_one_target(bucket, local_archive, tmp_path):
    with at_work(bucket / "set", str(tmp_path / "one")) as folder:
        with (
            pytest.raises(UsageError, match="Another run"),
            at_work(bucket / "set", str(tmp_path / "two")),
        ):
            raise AssertionError
        with (
            pytest.raises(UsageError, match="Another run"),
            at_work(bucket / "set", str(tmp_path / "one")),
        ):
            raise AssertionError
        Client(bucket / "set").delete(LOCK)
        with (
            leased(Client(bucket / "set"), "another"),
            pytest.raises(StorageError, match="has taken over"),
        ):
            write_bytes(folder / "commits/x", b"x")


def test_other_objects_are_left_alone(bucket, local_archive, tmp_path):
    Client(bucket).put("thesis.docx", b"precious")
    with pytest.raises(UsageError, match=r"1 objects, such as 'thesis.docx', but no dataset"):
        build(local_archive, bucket, tmp_path)
    assert [meta.name for meta in Client(bucket).listing()] == ["thesis.docx"]


def test_inside_each_other(bucket, tmp_path):
    for archive, dataset in (("a", "a/b"), ("a/b", "a"), ("a", "a")):
        with pytest.raises(UsageError, match="is inside the other"), both(bucket / archive, bucket / dataset):
            raise AssertionError


@pytest.mark.slow
def test_half_done_records_are_put_right(local_tree, cloud_archive, finished, tmp_path):
    place = Client(finished)
    place.put("commits/shard-00000001.json", b"{}")
    place.delete("store.zarr/reflectance/c.2.0.0.0")
    place.put("store.zarr/reflectance/c.99.0.0.0", b"stale")
    place.put("work/pending/tiles.parquet", b"half")
    build(cloud_archive, finished, tmp_path)
    assert tree(finished) == local_tree
    assert place.head("work/pending/tiles.parquet") is None


class Crash(BaseException):
    """Nothing in the code can catch it."""


class Mortal:
    """Counts the requests that change the store, and dies before or after one of them."""

    def __init__(self, monkeypatch, die_at=None, after=False):
        self.count, self.dead = 0, False
        for name in ("put", "delete"):
            monkeypatch.setattr(
                client.obstore, name, self.counted(getattr(client.obstore, name), die_at, after)
            )

    def counted(self, real, die_at, after):
        def request(*args, **kwargs):
            self.count += 1
            if self.dead or self.count == die_at:
                if after and not self.dead:
                    with suppress(Exception):  # it may be one that the store refuses
                        real(*args, **kwargs)
                self.dead = True
                raise Crash
            return real(*args, **kwargs)

        return request


POINTS = 4


@pytest.fixture(scope="session")
def requests_of_a_build(s3_server, local_tree, cloud_archive, tmp_path_factory):
    """How many requests that change the store a build makes."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3_server.environment().items():
            patch.setenv(name, value)
        s3_server.make_bucket("counted")
        client.store_of.cache_clear()
        mortal = Mortal(patch)
        build(cloud_archive, client.Remote("s3", "counted"), tmp_path_factory.mktemp("counted"))
    return mortal.count


def crash_points(config):
    return range(10**3) if config.getoption("--every-point") else range(POINTS)


def pytest_generate_tests(metafunc):
    if "part" in metafunc.fixturenames:
        metafunc.parametrize("part", crash_points(metafunc.config))


@pytest.mark.slow
def test_crash_and_resume(
    part, requests_of_a_build, local_tree, cloud_archive, bucket, tmp_path, request, monkeypatch
):
    every = request.config.getoption("--every-point")
    point = part // 2 + 1 if every else 1 + (requests_of_a_build - 2) * part // (POINTS - 1)
    after = bool(part % 2)
    if point > requests_of_a_build:
        pytest.skip(f"a build makes {requests_of_a_build} requests that change something")
    dataset = bucket / "set"
    with pytest.MonkeyPatch.context() as patch:
        Mortal(patch, point, after)
        with pytest.raises(Crash):
            build(cloud_archive, dataset, tmp_path)
    check_what_is_there(dataset)
    if part % 4 < 2:
        shutil.rmtree(tmp_path)  # the disk went with the machine
        tmp_path.mkdir()
        Client(dataset).delete(LOCK)
    build(cloud_archive, dataset, tmp_path)
    assert tree(dataset) == local_tree


def check_what_is_there(dataset):
    """Commit records vouch for whole shards, and what can be opened is all there."""
    place = Client(dataset)
    hashes = tree(dataset)
    for name in [name for name in hashes if name.startswith("commits/")]:
        commit = json.loads(place.read(name))
        assert hashes[f"store.zarr/reflectance/c.{commit['shard']}.0.0.0"] == commit["sha256"]
    if "store.zarr/zarr.json" in hashes:
        files = json.loads(place.read("manifest.json"))["files"]
        assert {name: entry["sha256"] for name, entry in files.items()}.items() <= hashes.items()
