"""What the pages say about readers of the store that are not ours."""

import re
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from rasterio.errors import RasterioIOError

DOCS = Path(__file__).parents[2] / "docs"
GDAL = tuple(int(part) for part in rasterio.__gdal_version__.split(".")[:2])


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
def test_a_part_of_the_store_is_written_by_the_line_of_the_page(source, tmp_path, monkeypatch):
    (line,) = re.findall(r"^store\.isel.*to_zarr.*$", (DOCS / "dataset-format.md").read_text(), re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    for chunks in ({}, None):
        with xr.open_zarr(source / "store.zarr", chunks=chunks) as store:
            exec(line, {"store": store})
            part = xr.open_zarr("two-patches.zarr", chunks=None).load()
            assert np.array_equal(part["reflectance"], store["reflectance"][:2])
        (tmp_path / "two-patches.zarr").rename(tmp_path / f"made-{chunks}")


@pytest.mark.parametrize(("chunks", "row"), [({}, slice(0, 3)), (None, 3)])
def test_without_it_the_line_fails_as_the_page_says(source, tmp_path, chunks, row):
    with (
        xr.open_zarr(source / "store.zarr", chunks=chunks) as store,
        pytest.raises(ValueError, match=r"[Cc]hunk"),
    ):
        store.isel(row=row).to_zarr(tmp_path / "part.zarr")


@pytest.mark.skipif(GDAL >= (3, 13), reason="this GDAL reads shards")
def test_gdal_says_what_the_page_quotes(source):
    quoted = "Unsupported codec: sharding_indexed"
    assert quoted in (DOCS / "exporting.md").read_text()
    with pytest.raises(RasterioIOError, match=quoted):
        rasterio.open(f'ZARR:"{source}/store.zarr":/reflectance')
