"""A dataset whose disk went away is no damaged one."""

import pytest

from spectralearth_build.errors import DamagedError, UsageError
from spectralearth_build.loader.reader import open_reader


def test_without_a_store_nothing_is_called_damaged(tmp_path):
    with pytest.raises(UsageError, match=r"store.zarr: There is no such folder. Check its name"):
        open_reader(tmp_path / "dataset" / "store.zarr" / "reflectance")
    (tmp_path / "dataset" / "store.zarr").mkdir(parents=True)
    with pytest.raises(DamagedError, match="There is no array"):
        open_reader(tmp_path / "dataset" / "store.zarr" / "reflectance")
