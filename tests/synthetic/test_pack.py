"""Zips and orders, read back with the standard library."""

import shutil
import tarfile
import zipfile

import pytest

from spectralearth_build.synthetic.pack import pack, pack_order


@pytest.fixture
def folder(tmp_path, product):
    return shutil.copytree(product, tmp_path / product.name)


def test_zip_holds_the_files_below_the_folder(folder, product):
    target = pack(folder, ".ZIP")
    assert target.name == f"{product.name}.ZIP"
    assert not folder.exists()
    with zipfile.ZipFile(target) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == {
            f"{product.name}/{path.name}": path.read_bytes() for path in product.iterdir()
        }


def test_folder_is_kept_on_request(folder):
    pack(folder, keep=True)
    assert folder.is_dir()


def test_order_holds_zips(folder, tmp_path):
    packed = pack(folder)
    data = packed.read_bytes()
    order = pack_order([packed], tmp_path / "order.tar.gz")
    assert not packed.exists()
    with tarfile.open(order) as archive:
        assert archive.getnames() == [packed.name]
        assert archive.extractfile(packed.name).read() == data


def test_same_bytes_twice(folder, tmp_path):
    first = pack(folder, keep=True).read_bytes()
    packed = pack(folder)
    assert packed.read_bytes() == first
    orders = [pack_order([packed], tmp_path / f"{i}.tar.gz", keep=True).read_bytes() for i in range(2)]
    assert orders[0] == orders[1]
