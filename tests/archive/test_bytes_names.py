"""File names that are not UTF-8: in folders, zips and tars, and in the path of the archive."""

import os
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest

from spectralearth_build.archive.below import below
from spectralearth_build.archive.product import WANTED, open_product
from spectralearth_build.archive.scan import scan
from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.config import Config
from spectralearth_build.tables import TILES
from spectralearth_build.texts import as_text

LATIN = os.fsdecode("Müller".encode("latin-1"))
SHOWN = r"M\xfcller"


def test_text_and_back(tmp_path):
    for name in (LATIN, "Müller", os.fsdecode(bytes(range(128, 256)))):
        (tmp_path / name).mkdir()
        text = as_text(name)
        assert text.encode().decode().isprintable()
        assert below(tmp_path, f"{text}/x") == tmp_path / name / "x"
    (tmp_path / r"M\xfcller").mkdir()
    assert below(tmp_path, SHOWN) == tmp_path / r"M\xfcller"


def pack(folder: Path, how: str) -> None:
    """Put a product where its name has bytes of Latin-1, and nothing of it elsewhere."""
    archive, name = folder.parent, folder.name
    if how == "folder":
        folder.rename(archive / LATIN)
    elif how == "files":
        (archive / LATIN).mkdir()
        for file in folder.iterdir():
            file.rename(archive / LATIN / f"{LATIN} {file.name}")
        folder.rmdir()
    elif how == "zip":
        with zipfile.ZipFile(archive / f"{LATIN}.zip", "w") as target:
            for file in folder.iterdir():
                info = zipfile.ZipInfo(f"M?ller/{file.name}")
                target.writestr(info, file.read_bytes())
        packed = archive / f"{LATIN}.zip"
        packed.write_bytes(packed.read_bytes().replace(b"M?ller", b"M\xfcller"))  # as old Windows writes it
        shutil.rmtree(folder)
    elif how == "tar":
        with tarfile.open(archive / f"{LATIN}.tar", "w", format=tarfile.GNU_FORMAT) as target:
            target.add(folder, f"{LATIN}/{name}")
        shutil.rmtree(folder)
    else:
        shutil.make_archive(str(folder), "zip", archive, name)
        with tarfile.open(archive / f"{LATIN}.tar", "w", format=tarfile.GNU_FORMAT) as target:
            target.add(archive / f"{name}.zip", f"{LATIN}/{name}.zip")
        (archive / f"{name}.zip").unlink()
        shutil.rmtree(folder)


@pytest.mark.parametrize("how", ["folder", "files", "zip", "tar", "tar of zip"])
def test_products_of_such_names_are_used(make, tmp_path, how):
    folder = make()
    with open_product(folder.parent, folder.name) as product:
        truth = {layer: product.layer(layer).read_bytes() for layer in WANTED}
    pack(folder, how)
    archive = tmp_path / "archive"
    scan(archive, tmp_path / "dataset", Config(), InlineExecutor())
    (row,) = TILES.read(tmp_path / "dataset").itertuples()
    assert row.eligible, row.reason
    assert SHOWN in row.path
    with open_product(archive, row.path) as product:
        assert {layer: product.layer(layer).read_bytes() for layer in WANTED} == truth


def test_an_archive_below_such_a_name_gives_the_same_table(make, tmp_path):
    folder = make()
    scan(folder.parent, tmp_path / "one", Config(), InlineExecutor())
    (tmp_path / LATIN).mkdir()
    archive = folder.parent.rename(tmp_path / LATIN / "archive")
    scan(archive, tmp_path / "two", Config(), InlineExecutor())
    assert (tmp_path / "one/tiles.parquet").read_bytes() == (tmp_path / "two/tiles.parquet").read_bytes()


def test_a_bad_product_of_such_a_name_says_which(make, tmp_path):
    folder = make()
    next(folder.glob("*SPECTRAL_IMAGE*")).write_bytes(b"II*\0 no tiff at all")
    pack(folder, "folder")
    frame = scan(tmp_path / "archive", tmp_path / "dataset", Config(), InlineExecutor())
    assert frame["error_class"].tolist() == ["BrokenRasterError"]
    assert SHOWN in frame["reason"].iloc[0]
    assert "links-" not in frame["reason"].iloc[0]
