"""A dataset on an object store is read as one in a folder is."""

import numpy as np
import pytest
from typer.testing import CliRunner

from spectralearth_build import open_dataset
from spectralearth_build.cli.app import app
from spectralearth_build.errors import DamagedError, UsageError
from spectralearth_build.storage.client import Client


@pytest.fixture
def both_built(local_set, cloud_set, cache):
    """A dataset in a folder and the same one on the object store; not to be written to."""
    return local_set, cloud_set[0]


@pytest.fixture
def cache(s3_environment, tmp_path):
    s3_environment.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.slow
def test_queries_and_pixels_are_the_same(both_built, cache):
    here, there = (open_dataset(str(place)) for place in both_built)
    assert there.query(bbox=(-180, -90, 180, 90), min_dates=2).equals(
        here.query(bbox=(-180, -90, 180, 90), min_dates=2)
    )
    assert there.tiles.equals(here.tiles)
    for location in here.locations["location_id"]:
        assert there.series(location).identical(here.series(location))
    assert np.array_equal(there.nominal_nm, here.nominal_nm)
    assert str(there.remote) == "s3://shared-set/data/set"


def test_tables_are_copied_once(both_built, cache, through):
    open_dataset(str(both_built[1]))
    proxy = through()
    open_dataset(str(both_built[1])).query()
    fetched = [path for method, path in proxy.requests if method == "GET" and "list-type" not in path]
    assert [path.rpartition("/")[2] for path in fetched] == ["manifest.json"]


def test_a_file_url_is_a_folder(both_built):
    assert open_dataset(both_built[0].as_uri()).path == both_built[0]


def test_what_is_unfinished_or_damaged_is_not_opened(finished, bucket, cache):
    with pytest.raises(UsageError, match="no finished dataset"):
        open_dataset(f"{bucket}/nothing")
    place = Client(finished)
    open_dataset(str(place.remote))
    place.put("tiles.parquet", b"rubbish")
    with pytest.raises(DamagedError, match=r"differ from the manifest: tiles\.parquet"):
        open_dataset(str(place.remote))
    place.delete("store.zarr/zarr.json")
    with pytest.raises(UsageError, match="no finished dataset"):
        open_dataset(str(place.remote))


@pytest.mark.slow
def test_verify_sees_what_is_there_not_what_is_here(finished, cache):
    place = Client(finished)
    verify = ["verify", str(place.remote), "--scheduler", "inline"]
    assert CliRunner().invoke(app, verify).exit_code == 0
    data = bytearray(place.read("store.zarr/reflectance/c.1.0.0.0"))
    data[1000] ^= 1
    place.put("store.zarr/reflectance/c.1.0.0.0", bytes(data))
    patches = place.read("patches.parquet")
    place.put("patches.parquet", patches[:-1])
    place.put("store.zarr/extra", b"x")
    place.delete("statistics.json")
    told = CliRunner().invoke(app, verify)
    assert told.exit_code == 1
    for name in ("patches.parquet", "store.zarr/extra", "statistics.json"):
        assert name in told.output
    place.put("patches.parquet", patches)
    told = CliRunner().invoke(app, verify)
    assert "c.1.0.0.0" in told.output


def test_a_loader_reads_from_urls(both_built, cache):
    torch = pytest.importorskip("torch")
    from spectralearth_build.loader.loader import Loader

    here, there = (Loader(str(place), batch_size=2, seed=1) for place in both_built)
    for one, two in zip(here, there, strict=True):
        assert torch.equal(one["pixels"], two["pixels"])
