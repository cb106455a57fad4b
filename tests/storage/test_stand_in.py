"""An archive on an object store looks and opens like the same archive in a folder."""

from __future__ import annotations

import os
import shutil
import zipfile
from contextlib import contextmanager
from dataclasses import replace

import pytest

from spectralearth_build.archive import on_object_store as remote_archive
from spectralearth_build.archive.discover import find_products
from spectralearth_build.archive.names import IMAGE, METADATA
from spectralearth_build.archive.on_object_store import StandIn
from spectralearth_build.archive.product import WANTED, open_product
from spectralearth_build.errors import (
    MissingFileError,
    OutOfSpaceError,
    ProductError,
    StorageError,
    UnreadableFileError,
)
from spectralearth_build.places import at_hand
from spectralearth_build.storage.attach import at, attached
from spectralearth_build.storage.client import Client


@pytest.fixture
def stand_in(cloud_archive, s3_environment, tmp_path):
    """The folder that stands in for the shared archive."""
    with at_hand(cloud_archive, tmp_path / "dataset", str(tmp_path / "staging")) as folder:
        yield folder


@contextmanager
def standing_in(remote, folder):
    stand_in = StandIn(folder, remote)
    with attached(stand_in):
        stand_in.refresh()
        yield folder


def told(items):
    """Everything about what was found but its stamp, which has times of files or versions of objects."""
    return [replace(item, stamp="", problem=repr(item.problem)) for item in items]


def test_the_same_products_are_found(local_archive, stand_in, tmp_path):
    found = find_products(stand_in, tmp_path / "listings")
    assert told(found) == [
        replace(item, problem=item.problem.replace(str(local_archive), str(stand_in)))
        for item in told(find_products(local_archive))
    ]
    assert {item.kind for item in found} == {"folder", "zip", "tar"}
    assert any(item.problem for item in found)
    again = find_products(stand_in, tmp_path / "listings")
    assert [item.stamp for item in again] == [item.stamp for item in found]


def test_the_same_files_are_opened(local_archive, stand_in, tmp_path):
    opened = 0
    for item in find_products(stand_in, tmp_path / "listings"):
        if item.problem:
            continue
        for layers in (WANTED, (METADATA,)):
            with (
                open_product(local_archive, item.path, tmp_path, layers) as here,
                open_product(stand_in, item.path, tmp_path, layers) as there,
            ):
                assert (there.path, there.name, set(there.files)) == (here.path, here.name, set(here.files))
                for layer in set(layers) & set(here.files):
                    assert there.files[layer].read_bytes() == here.files[layer].read_bytes()
                opened += 1
    assert opened == 12
    assert not list(tmp_path.glob("fetched-*"))


def test_only_what_is_asked_for_is_fetched(cloud_archive, s3_environment, through, tmp_path):
    proxy = through()
    with at_hand(cloud_archive, tmp_path / "d", str(tmp_path)) as folder:
        one = next(item.path for item in find_products(folder) if item.path.startswith("flat/"))
        proxy.requests.clear()
        with open_product(folder, one, None, (METADATA,)):
            pass
    fetched = [path for method, path in proxy.requests if method == "GET" and "list-type" not in path]
    assert len(fetched) == 1
    assert fetched[0].endswith("-METADATA.XML")


def test_errors_name_what_users_know(local_archive, stand_in, tmp_path):
    errors = []
    for root in (local_archive, stand_in):
        with pytest.raises(MissingFileError) as caught, open_product(root, "zips", None):
            pass
        errors.append(str(caught.value).replace(str(root), "ROOT"))
        with pytest.raises(ProductError) as caught, open_product(root, "flat", None):
            pass
        errors.append(str(caught.value).replace(str(root), "ROOT"))
    assert errors[:2] == errors[2:]
    path = next(item.path for item in find_products(stand_in) if item.kind == "folder")
    with pytest.raises(ProductError) as caught, open_product(stand_in, path, tmp_path) as product:
        raise MissingFileError(f"Gone: {product.image_path}.", product.image_path)
    assert caught.value.path.startswith(str(stand_in))
    assert "fetched-" not in str(caught.value)


def test_changes_are_noticed(bucket, tmp_path):
    place = Client(bucket / "a")
    names = ["x/" + "ENMAP01-____L2A-DT0000000001_20240709T104407Z_001_V010502_20240709T035921Z" + tail
             for tail in ("-METADATA.XML", "-SPECTRAL_IMAGE.TIF")]  # fmt: skip
    for name in names:
        place.put(name, b"one")
    with standing_in(bucket / "a", tmp_path / "in") as folder:
        (first,) = find_products(folder)
        untouched = (folder / names[0]).stat()
        place.put(names[1], b"two")
        at(folder).refresh()
        (second,) = find_products(folder)
        assert (first.path, first.name) == (second.path, second.name)
        assert first.stamp != second.stamp
        assert (folder / names[0]).stat().st_ctime_ns == untouched.st_ctime_ns
        for name in names:
            place.delete(name)
        at(folder).refresh()
        assert find_products(folder) == []
        assert list(folder.iterdir()) == []


def test_an_object_that_changes_while_it_is_read(bucket, tmp_path, monkeypatch):
    place = Client(bucket)
    product = "ENMAP01-____L2A-DT0000000001_20240709T104407Z_001_V010502_20240709T035921Z"
    for layer in ("METADATA.XML", "SPECTRAL_IMAGE.TIF"):
        place.put(f"{product}/{product}-{layer}", b"old")
    children = Client.children

    def then_changed(self, folder):
        found = children(self, folder)
        self.put(f"{product}/{product}-SPECTRAL_IMAGE.TIF", b"new")
        return found

    monkeypatch.setattr(Client, "children", then_changed)
    with (
        standing_in(bucket, tmp_path / "in") as folder,
        pytest.raises(UnreadableFileError, match="It changed"),
        open_product(folder, product, tmp_path, (IMAGE,)),
    ):
        pass


def test_a_zip_that_changes_while_the_archive_is_listed(bucket, tmp_path, monkeypatch):
    place = Client(bucket)
    place.put("order.zip", b"old")
    listing = Client.listing

    def then_changed(self, prefix=""):
        found = listing(self, prefix)
        self.put("order.zip", b"new")
        return found

    monkeypatch.setattr(Client, "listing", then_changed)
    with (
        pytest.raises(StorageError, match=r"order\.zip: It changed"),
        standing_in(bucket, tmp_path / "in"),
    ):
        pass


def test_no_room_for_a_product(stand_in, tmp_path, monkeypatch):
    path = next(item.path for item in find_products(stand_in) if item.kind == "folder")
    usage = shutil.disk_usage(tmp_path)._replace(free=10)
    monkeypatch.setattr(remote_archive.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(OutOfSpaceError, match="10 are free"), open_product(stand_in, path, tmp_path):
        pass


def test_names_that_no_file_can_have(bucket, tmp_path, capsys):
    place = Client(bucket)
    for name in ("a", "a/b", "c" * 250, "fine"):
        place.put(name, b"x")
    with standing_in(bucket, tmp_path / "in") as folder:
        assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == {
            "a/b",
            "fine",
        }
    assert capsys.readouterr().out.count("skipped, since no file can have this name") == 2


def test_names_that_lead_out_are_refused(bucket, s3_server, tmp_path):
    import urllib.request

    url = f"{s3_server.endpoint}/{bucket.bucket}/a/../../../evil"
    with urllib.request.urlopen(urllib.request.Request(url, b"x", method="PUT")):
        pass
    with pytest.raises(StorageError, match="InvalidPath"), standing_in(bucket, tmp_path / "in/deep"):
        pass
    assert not list(tmp_path.rglob("evil"))


def test_a_zip_with_a_long_table_of_contents(bucket, tmp_path):
    with zipfile.ZipFile(tmp_path / "long.zip", "w") as archive:
        for number in range(1500):
            archive.writestr(f"{'x' * 40}{number}", os.urandom(60))
    Client(bucket).put("long.zip", tmp_path / "long.zip")
    with standing_in(bucket, tmp_path / "in") as folder:
        assert (
            zipfile.ZipFile(folder / "long.zip").namelist()
            == zipfile.ZipFile(tmp_path / "long.zip").namelist()
        )


def test_archives_are_never_written_to(stand_in):
    for action in (at(stand_in).written, at(stand_in).removed):
        with pytest.raises(PermissionError):
            action(stand_in / "x")
