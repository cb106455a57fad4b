from __future__ import annotations

import hashlib
from importlib.metadata import version

import pytest
import rasterio

from spectralearth_build.store.manifest import entry, entry_of_file, versions


@pytest.mark.parametrize("size", [0, 5, (1 << 20) + 7])
def test_an_entry_is_the_same_from_memory_and_from_disk(tmp_path, size):
    data = bytes(range(256)) * (size // 256 + 1)
    data = data[:size]
    (tmp_path / "file").write_bytes(data)
    expected = {"bytes": size, "sha256": hashlib.sha256(data).hexdigest()}
    assert entry(data) == entry_of_file(tmp_path / "file") == expected


def test_versions_are_those_installed():
    found = versions()
    assert found["zarr"] == version("zarr")
    assert found["GDAL"] == rasterio.__gdal_version__
    assert all(found.values())
