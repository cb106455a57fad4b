"""A finished dataset of three datatakes, made once, and rasters around it."""

from __future__ import annotations

import shutil

import pytest
from pairing_site import CORINE, build, write_raster, write_tile


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """Folder of the archive (tiles 1 to 3), the dataset ``d`` and ``corine.tif``; not to be written to."""
    folder = tmp_path_factory.mktemp("site")
    for number in (1, 2, 3):
        write_tile(folder / "archive", number, years=number - 1)
    build(folder / "archive", folder / "d")
    write_raster(folder / "corine.tif", 3035, 100, CORINE, seed=1)
    return folder


@pytest.fixture
def corine(site):
    """A raster of CORINE's codes."""
    return site / "corine.tif"


@pytest.fixture
def bare(site, tmp_path):
    """A copy of the dataset without labels."""
    return shutil.copytree(site / "d", tmp_path / "d")
