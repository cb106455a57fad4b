"""Hidden and foreign files: never a product, never part of one, and counted."""

import os
import shutil
import tarfile
import zipfile
from collections import Counter

import pytest

from spectralearth_build.archive.discover import find_products
from spectralearth_build.archive.foreign import foreign, told, unfinished
from spectralearth_build.archive.group import group_files
from spectralearth_build.archive.names import IMAGE, layer_of
from spectralearth_build.archive.product import open_product
from spectralearth_build.archive.scan import scan
from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.config import Config
from spectralearth_build.errors import MissingFileError

ONE = "ENMAP01-____L2A-DT0000001849_20220720T104204Z_005_V010111_20221213T160335Z"
TWO = ONE.replace("_005_", "_006_")
FOLDERS = [
    ".git", ".snapshot", ".zfs", ".Trash-1000", "@eaDir", "#recycle", "#snapshot", "$RECYCLE.BIN", "lost+found",
    "System Volume Information", "__MACOSX", "~snapshot", f"{ONE}-SPECTRAL_IMAGE.TIF.download",
]  # fmt: skip
FILES = {
    "._{}": "._", ".{}": "hidden", ".{}.a8Xk2Q": "hidden", "{}.part": ".part", "{}.partial": ".partial",
    "{}.crdownload": ".crdownload", "{}.download": ".download", "{}.tmp": ".tmp", "{}.icloud": ".icloud",
    "{}.filepart": ".filepart", "{}.aria2": ".aria2", "{}~": "~", "{}.aux.xml": ".aux.xml", "{}.ovr": ".ovr",
    "{}.msk": ".msk",
}  # fmt: skip
ALONE = {
    "Thumbs.db": "Thumbs.db",
    "desktop.ini": "desktop.ini",
    ".DS_Store": "hidden",
    "Icon\r": "Icon",
    "._Icon\r": "._",
}


@pytest.mark.parametrize("pattern", FILES)
def test_of_a_file_and_its_shadow_the_file_counts(pattern):
    for own in (f"{ONE}-SPECTRAL_IMAGE.TIF", f"{ONE}-METADATA.XML", "METADATA.XML", f"{ONE}.zip"):
        shadow = pattern.format(own)
        assert foreign(shadow) == foreign(f"a/{shadow}") == FILES[pattern]
        if layer := layer_of(own):
            groups = group_files([shadow, own])
            assert [group.files for group in groups] == [{layer[0]: own}]


def test_names_of_products_and_of_users_are_not_foreign():
    sound = [
        ONE,
        f"{ONE}.zip",
        f"{ONE}-METADATA.XML.XML",
        f"{ONE}-SPECTRAL_IMAGE_COG.TIF",
        "2024.07/order.tar.gz",
    ]
    for path in (*sound, *(f"tmp/{name}" for name in sound), "batch.part/METADATA.XML", "..", "../.x", "/.x"):
        assert foreign(path) == ""
    for folder in ("a.tmp", "a.part", "enmap.download", "old~"):
        assert foreign(folder, folder=True) == ""


@pytest.mark.parametrize("folder", FOLDERS)
def test_foreign_folders_are_not_opened(tmp_path, folder, monkeypatch):
    def lay(place):
        place.mkdir(parents=True)
        (place / f"{ONE}-METADATA.XML").write_text("x")

    lay(tmp_path / folder / ONE)
    lay(tmp_path / "real")
    (tmp_path / "real" / folder).mkdir()
    opened, real = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: opened.append(path) or real(path))
    skipped = Counter()
    assert [item.path for item in find_products(tmp_path, None, skipped)] == ["real"]
    assert opened == [tmp_path, tmp_path / "real"]
    assert skipped.total() == 2


def test_only_names_below_the_archive_count(tmp_path):
    root = tmp_path / ".data" / "lost+found"
    (root / ONE).mkdir(parents=True)
    (root / ONE / f"{ONE}-METADATA.XML").write_text("x")
    (tmp_path / "link").symlink_to(root)
    assert [item.path for item in find_products(root)] == [ONE]
    assert [item.path for item in find_products(tmp_path / "link")] == [ONE]


def test_copies_of_the_file_itself_count_less():
    own = [f"{ONE}-SPECTRAL_IMAGE.TIF", f"{ONE}-METADATA.XML"]
    copies = [f"Copy of {name}" for name in own] + [name.replace(".", " (1).") for name in own]
    (group,) = group_files([*own, *copies])
    assert sorted(group.files.values()) == sorted(own)
    (group,) = group_files(copies)
    assert sorted(group.files.values()) == sorted(copies[:2])


@pytest.mark.parametrize("packing", ["folder", "zip", "tar", "tar of zip"])
def test_a_product_among_everything_that_machines_leave(make, tmp_path, packing, capsys):
    """As copied from a Mac to a stick, browsed on Windows, looked at in QGIS, and packed."""
    folder = make()
    dirt = 0
    for file in list(folder.iterdir()):
        for pattern in FILES:
            (folder / pattern.format(file.name)).write_bytes(b"\0\5\26\7" * 30)
            dirt += 1
    for name in ALONE:
        (folder / name).write_bytes(b"Mac OS X")
        dirt += 1
    archive = folder.parent
    if packing == "zip":
        with zipfile.ZipFile(archive / f"{ONE}.zip", "w") as target:
            for file in sorted(folder.iterdir()):
                target.write(file, f"{folder.name}/{file.name}")
                target.writestr(f"__MACOSX/{folder.name}/._{file.name}", b"\0\5\26\7")
        dirt += len(list(folder.iterdir()))
    elif packing == "tar":
        with tarfile.open(archive / "order.tgz", "w:gz") as target:
            target.add(folder, f"./{folder.name}")
    elif packing == "tar of zip":
        shutil.make_archive(str(archive / folder.name), "zip", archive, folder.name)
        with tarfile.open(archive / "order.tar", "w") as target:
            for name in (f"._{folder.name}.zip", f"{folder.name}.zip"):
                source = archive / f"{folder.name}.zip" if name[0] != "." else folder / "._Icon\r"
                target.add(source, name)
        (archive / f"{folder.name}.zip").unlink()
        dirt = 1
    if packing != "folder":
        shutil.rmtree(folder)
    frame = scan(archive, tmp_path / "dataset", Config(), InlineExecutor())
    assert frame["eligible"].tolist() == [True], frame["reason"].tolist()
    assert f"scan: {dirt} hidden or foreign file{'s' * (dirt > 1)} skipped (" in capsys.readouterr().out


def test_a_hostile_name_among_foreign_ones_is_still_told(tmp_path):
    with zipfile.ZipFile(tmp_path / f"{ONE}.zip", "w") as target:
        target.writestr(f"{ONE}-METADATA.XML", "x")
        target.writestr("__MACOSX/../../.bashrc", "x")
    (item,) = find_products(tmp_path)
    assert type(item.problem).__name__ == "HostileNameError"


def test_what_is_still_being_downloaded_says_so(make):
    folder = make()
    image = next(folder.glob("*SPECTRAL_IMAGE*"))
    for name in (f"{image.name}.part", f".{image.name}.icloud", f".{image.name}.x1Y2z3"):
        waiting = image.rename(folder / name)
        (item,) = find_products(folder.parent)
        with (
            open_product(folder.parent, item.path) as product,
            pytest.raises(MissingFileError, match=r"still being downloaded: .*IMAGE.*Finish the download"),
        ):
            product.layer(IMAGE)
        waiting.rename(image)
    with open_product(folder.parent, folder.name) as product:
        assert product.layer(IMAGE) == image


def test_a_folder_that_holds_nothing_but_a_download(tmp_path):
    for name in (ONE, TWO):
        (tmp_path / name).mkdir()
    (tmp_path / ONE / f"{ONE}-SPECTRAL_IMAGE.TIF.crdownload").write_text("x")
    first, second = find_products(tmp_path)
    assert "still being downloaded" in str(first.problem)
    assert "no file of the product" in str(second.problem)
    assert unfinished(f"{ONE}.zip.part") is None


def test_the_line():
    assert told(Counter({"._": 9, ".part": 3})) == "12 hidden or foreign files skipped (._ 9, .part 3)"
    assert told(Counter({"hidden": 1})) == "1 hidden or foreign file skipped (hidden 1)"
