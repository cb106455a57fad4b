"""Opening products wherever they lie, and never anything else."""

import shutil
from pathlib import Path

import pytest

from spectralearth_build.archive.discover import find_products
from spectralearth_build.archive.names import IMAGE, METADATA, QUALITY
from spectralearth_build.archive.product import WANTED, hostile, open_product
from spectralearth_build.errors import (
    BrokenArchiveError,
    BrokenRasterError,
    HostileNameError,
    MissingFileError,
)
from spectralearth_build.synthetic.pack import pack, pack_order
from spectralearth_build.synthetic.product import Layout

LAYOUTS = {
    "plain": Layout(),
    "catalogue": Layout(cog=True, block=128, suffix="_COG.TIF"),
    "tiff": Layout(suffix=".tiff"),
    "bare": Layout(prefixed=False, metadata_suffix=".xml"),
}


def contents(root: Path, path: str, scratch: Path | None = None) -> dict[str, bytes]:
    with open_product(root, path, scratch) as product:
        assert product.path == path
        assert product.metadata_path == product.layer(METADATA)
        assert product.image_path == product.layer(IMAGE)
        return {layer: product.layer(layer).read_bytes() for layer in WANTED}


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_folder_zip_and_order_hold_the_same_files(tmp_path, make, layout):
    folder = make(layout=LAYOUTS[layout])
    root = folder.parent
    truth = contents(root, folder.name)
    zipped = pack(folder, ".ZIP", keep=True)
    pack_order([zipped], root / "order.tar.gz", keep=True)
    found = find_products(root)
    assert [item.kind for item in found] == ["folder", "zip", "tar"]
    assert len({item.name for item in found}) == 1
    scratch = tmp_path / "scratch"
    for item in found:
        assert contents(root, item.path, scratch) == truth
    assert list(scratch.iterdir()) == []


def test_several_products_in_one_folder(make, tmp_path):
    one, two = make(tile=1), make(tile=2, seed=1)
    flat = tmp_path / "flat"
    flat.mkdir()
    for file in (*one.iterdir(), *two.iterdir()):
        shutil.move(file, flat)
    paths = [item.path for item in find_products(flat)]
    assert len(paths) == 2
    for path in paths:
        with open_product(flat, path) as product:
            assert product.name.product_id in str(product.image_path)
            assert path.startswith(product.name.product_id)
    with pytest.raises(MissingFileError, match="There are 2 products"), open_product(flat, "."):
        pass


def test_a_folder_with_an_exclamation_mark(make, tmp_path):
    folder = make(into=tmp_path / "archive" / "really! yes!")
    packed = pack(folder, keep=True)
    for path in (folder, packed):
        assert contents(tmp_path / "archive", path.relative_to(tmp_path / "archive").as_posix())


def test_a_folder_named_like_an_archive(make, tmp_path):
    make(into=tmp_path / "archive" / "order.zip")
    found = find_products(tmp_path / "archive")
    assert [item.kind for item in found] == ["folder"]
    named = make(into=tmp_path / "archive").rename(tmp_path / "archive" / "product.zip")
    assert contents(tmp_path / "archive", named.name) == contents(tmp_path / "archive", found[0].path)


def test_only_what_is_asked_for_is_unpacked(make):
    packed = pack(make())
    with open_product(packed.parent, packed.name, layers=(METADATA,)) as product:
        assert list(product.files) == [METADATA]
    with open_product(packed.parent, packed.name) as product:
        assert sorted(product.files) == sorted((METADATA, IMAGE, *QUALITY))
        assert all(path.suffix == "" for path in product.files.values())


def test_what_is_missing_is_named(make):
    folder = make()
    next(folder.glob("*CLOUDSHADOW*")).unlink()
    image = next(folder.glob("*SPECTRAL_IMAGE*"))
    image.rename(image.with_suffix(".BSQ"))
    with open_product(folder.parent, folder.name) as product:
        with pytest.raises(MissingFileError, match="has no CLOUDSHADOW"):
            product.layer("CLOUDSHADOW")
        with pytest.raises(
            MissingFileError, match=r"SPECTRAL_IMAGE\.BSQ is not a GeoTIFF\. Order the product as GeoTIFF"
        ):
            _ = product.image_path


@pytest.mark.parametrize("path", ["none", "none.zip", "none.tar.gz!inner.zip", "none!x"])
def test_what_is_not_there(tmp_path, path):
    with pytest.raises(MissingFileError, match="none"), open_product(tmp_path, path):
        pass


def test_ways_out_are_refused(make, tmp_path):
    folder = make()
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(folder)
    inside = root / folder.name
    shutil.copytree(folder, inside)
    image = next(inside.glob("*SPECTRAL_IMAGE*"))
    image.unlink()
    image.symlink_to(next(folder.glob("*SPECTRAL_IMAGE*")))
    for path in (f"../archive/{folder.name}", str(folder), "link", folder.name):
        with pytest.raises(HostileNameError), open_product(root, path):
            pass


def test_errors_name_what_the_user_knows(make, tmp_path):
    packed = pack(make())
    order = pack_order([packed], packed.with_name("order.tar.gz"), keep=True)
    path = f"{order.name}!{packed.name}"
    with (
        pytest.raises(BrokenRasterError) as caught,
        open_product(order.parent, path, tmp_path / "s") as product,
    ):
        raise BrokenRasterError("It is broken.", product.image_path)
    assert str(caught.value) == f"{path}: SPECTRAL_IMAGE: It is broken. Download the product again."


def test_a_member_that_is_not_there(make):
    packed = pack(make())
    order = pack_order([packed], packed.with_name("order.tar.gz"), keep=True)
    with (
        pytest.raises(BrokenArchiveError, match=r"other\.zip is absent"),
        open_product(order.parent, f"{order.name}!other.zip"),
    ):
        pass


@pytest.mark.parametrize(
    ("path", "answer"),
    [("a/b.TIF", False), ("a b/ü.zip", False), ("..a/b..", False), ("../a", True), ("a/../b", True), ("/a", True),
     ("a\\..\\b", True), ("a\nb", True), ("a\x1b[2J", True), ("<b>", True), ("a\u202eb", True), ("a\udcff", True)],
)  # fmt: skip
def test_hostile_paths(path, answer):
    assert hostile(path) is answer
