"""Finding products: layouts, links, hostile names, archives."""

import os
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest

from spectralearth_build.archive import discover
from spectralearth_build.archive.discover import find_products
from spectralearth_build.errors import BrokenArchiveError, HostileNameError, MissingFileError

ONE = "ENMAP01-____L2A-DT0000001849_20220720T104204Z_005_V010111_20221213T160335Z"
TWO = "ENMAP01-____L2A-DT0000001849_20220720T104209Z_006_V010111_20221213T160335Z"
FILES = ("-METADATA.XML", "-SPECTRAL_IMAGE.TIF", "-QL_QUALITY_CLOUD.TIF", "-THUMBNAIL.jpg")


def lay(folder: Path, product: str = ONE, files=FILES, prefix: bool = True) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        (folder / (f"{product}{file}" if prefix else file[1:])).write_text("x")
    return folder


def pack_zip(folder: Path) -> Path:
    return Path(shutil.make_archive(str(folder), "zip", folder.parent, folder.name))


def pack_tar(target: Path, *paths: Path) -> Path:
    with tarfile.open(target, "w:gz") as archive:
        for path in paths:
            archive.add(path, path.name)
    return target


def brief(root: Path):
    return [
        (item.path, item.kind, item.name.tile if item.name else None, item.problem)
        for item in find_products(root)
    ]


def classes(root: Path) -> dict[str, type | None]:
    return {item.path: type(item.problem) if item.problem else None for item in find_products(root)}


def test_one_folder_one_product(tmp_path):
    lay(tmp_path / "2022" / "july" / ONE)
    assert brief(tmp_path) == [(f"2022/july/{ONE}", "folder", 5, None)]


def test_many_products_in_one_folder(tmp_path):
    lay(tmp_path, ONE)
    lay(tmp_path, TWO, FILES[1:])
    assert [item[0] for item in brief(tmp_path)] == [f"{ONE}-METADATA.XML", f"{TWO}-QL_QUALITY_CLOUD.TIF"]
    assert [item[2] for item in brief(tmp_path)] == [5, 6]


def test_files_without_prefix_are_named_by_their_folder(tmp_path):
    lay(tmp_path / ONE / "data", prefix=False)
    assert brief(tmp_path) == [(f"{ONE}/data", "folder", 5, None)]
    lay(tmp_path / "anonymous", prefix=False)
    assert ("anonymous", "folder", None, None) in brief(tmp_path)


def test_zip_and_order(tmp_path):
    one, two = (pack_zip(lay(tmp_path / "build" / name, name)) for name in (ONE, TWO))
    root = tmp_path / "archive"
    root.mkdir()
    shutil.copy(one, root / f"{ONE}.ZIP")
    pack_tar(root / "order.tar.gz", one, two)
    assert brief(root) == [
        (f"{ONE}.ZIP", "zip", 5, None),
        (f"order.tar.gz!{ONE}.zip", "tar", 5, None),
        (f"order.tar.gz!{TWO}.zip", "tar", 6, None),
    ]


def test_zip_with_two_products_and_tar_with_files(tmp_path):
    both = lay(lay(tmp_path / "both", ONE), TWO)
    root = tmp_path / "archive"
    root.mkdir()
    shutil.move(pack_zip(both), root)
    pack_tar(root / "plain.tgz", lay(tmp_path / ONE))
    assert [item[0] for item in brief(root)] == [
        f"both.zip!both/{ONE}-METADATA.XML",
        f"both.zip!both/{TWO}-METADATA.XML",
        "plain.tgz",
    ]


def test_what_is_no_product_is_no_row(tmp_path):
    (tmp_path / "readme.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    shutil.move(pack_zip(lay(tmp_path / "docs", "a", ["readme.txt"])), tmp_path / "documents.zip")
    assert brief(tmp_path) == []


def test_what_is_named_like_one_is_a_row(tmp_path):
    (tmp_path / ONE).mkdir()
    shutil.move(pack_zip(lay(tmp_path / "docs", "a", ["readme.txt"])), tmp_path / f"{TWO}.zip")
    assert classes(tmp_path) == {ONE: MissingFileError, f"{TWO}.zip": MissingFileError}


def test_links_inside_are_one_product(tmp_path):
    product = lay(tmp_path / "a" / ONE)
    (tmp_path / "again").symlink_to(product)
    linked = tmp_path / "b" / TWO
    lay(linked, TWO, FILES[:1])
    real = lay(tmp_path / "pool", "image", [".TIF"]) / "image.TIF"
    (linked / f"{TWO}{FILES[1]}").symlink_to(real)
    assert classes(tmp_path) == {f"a/{ONE}": None, f"b/{TWO}": None}


def test_links_out_are_refused_and_not_followed(tmp_path):
    outside, root = tmp_path / "outside", tmp_path / "archive"
    lay(outside / ONE)
    lay(root / TWO, TWO, FILES[:1])
    (root / TWO / f"{TWO}{FILES[1]}").symlink_to(outside / ONE / f"{ONE}{FILES[1]}")
    (root / "more").symlink_to(outside)
    (root / "x.zip").symlink_to(outside / "x.zip")
    (root / "notes.txt").symlink_to("/etc/hostname")
    (root / "loop").symlink_to("loop")
    assert classes(root) == {TWO: HostileNameError, "more": HostileNameError, "x.zip": HostileNameError}
    assert all("link out of the archive" in str(item.problem) for item in find_products(root))


@pytest.mark.parametrize("name", ["line\nbreak", "<b>bold</b>", "bell\a", os.fsdecode(b"\xff\xfe")])
def test_hostile_folders(tmp_path, name):
    lay(tmp_path / name / ONE)
    lay(tmp_path / TWO, TWO)
    found = {item.name.tile: item.problem for item in find_products(tmp_path)}
    assert isinstance(found[5], HostileNameError)
    assert str(found[5]).isprintable()
    assert found[6] is None


@pytest.mark.parametrize(
    "member", ["../evil.TIF", "/etc/evil", "a/../../b", "..\\evil", "a\nb.TIF", "<script>.TIF"]
)
@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_hostile_members(tmp_path, member, kind):
    folder = lay(tmp_path / "build" / ONE)
    packed = pack_zip(folder)
    if kind == "zip":
        shutil.move(packed, tmp_path / f"{ONE}.zip")
        with zipfile.ZipFile(tmp_path / f"{ONE}.zip", "a") as archive:
            archive.writestr(member, "x")
    else:
        with tarfile.open(tmp_path / f"{ONE}.tar.gz", "w:gz") as archive:
            archive.add(packed, f"{ONE}.zip")
            archive.addfile(tarfile.TarInfo(member))
    shutil.rmtree(tmp_path / "build")
    assert classes(tmp_path) == {f"{ONE}.{kind}": HostileNameError}


def test_a_cut_order_keeps_what_is_whole(tmp_path):
    build = tmp_path / "build"
    zips = []
    for name in (ONE, TWO):
        (lay(build / name, name) / f"{name}-SPECTRAL_IMAGE.TIF").write_bytes(os.urandom(100_000))
        zips.append(pack_zip(build / name))
    root = tmp_path / "archive"
    root.mkdir()
    order = pack_tar(root / "order.tar.gz", *zips)
    os.truncate(order, order.stat().st_size * 3 // 4)
    assert classes(root) == {
        f"order.tar.gz!{ONE}.zip": None,
        f"order.tar.gz!{TWO}.zip": BrokenArchiveError,
    }


def test_unreadable_folder(tmp_path, monkeypatch):
    lay(tmp_path / "locked" / ONE)
    lay(tmp_path / TWO, TWO)
    real = os.scandir

    def scandir(path):
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(discover.os, "scandir", scandir)
    found = {item.path: item.problem for item in find_products(tmp_path)}
    assert type(found["locked"]).__name__ == "UnreadableFileError"
    assert found[TWO] is None


def test_stamps_change_with_the_files_and_with_nothing_else(tmp_path):
    lay(tmp_path / ONE)
    stamp = find_products(tmp_path)[0].stamp
    (tmp_path / ONE / "notes.txt").write_text("x")
    assert find_products(tmp_path)[0].stamp == stamp
    image = tmp_path / ONE / f"{ONE}-SPECTRAL_IMAGE.TIF"
    image.write_text("y")
    assert find_products(tmp_path)[0].stamp != stamp


def test_listings_of_orders_are_remembered(tmp_path, monkeypatch):
    root = tmp_path / "archive"
    root.mkdir()
    zipped = pack_zip(lay(tmp_path / "build" / ONE))
    pack_tar(root / "order.tar.gz", zipped)
    first = find_products(root, tmp_path / "listings")
    next((tmp_path / "listings").iterdir()).write_text("[")
    assert find_products(root, tmp_path / "listings") == first
    monkeypatch.setattr(discover, "list_members", lambda _: pytest.fail("listed again"))
    assert find_products(root, tmp_path / "listings") == first
    monkeypatch.undo()
    pack_tar(root / "order.tar.gz", zipped, lay(tmp_path / "other"))
    os.utime(root / "order.tar.gz", (1, 1))
    assert find_products(root, tmp_path / "listings")[0].stamp != first[0].stamp
