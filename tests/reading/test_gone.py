"""A dataset whose disk went away is no damaged one."""

import pytest

from spectralearth_build.errors import DamagedError, UsageError
from spectralearth_build.reading.reader import open_reader


def test_without_a_store_nothing_is_called_damaged(tmp_path):
    with pytest.raises(UsageError, match=r"store.zarr: The folder does not exist. Check the path"):
        open_reader(tmp_path / "dataset" / "store.zarr" / "reflectance")
    (tmp_path / "dataset" / "store.zarr").mkdir(parents=True)
    with pytest.raises(DamagedError, match="The array does not exist"):
        open_reader(tmp_path / "dataset" / "store.zarr" / "reflectance")
