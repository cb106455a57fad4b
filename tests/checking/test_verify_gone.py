"""A dataset that goes away while it is verified was not found damaged."""

import pytest

from spectralearth_build.checking import verify as module
from spectralearth_build.checking.damage import Damage
from spectralearth_build.checking.verify import verify
from spectralearth_build.errors import ArchiveError


def test_an_unmounted_dataset_is_not_called_damaged(tmp_path, monkeypatch):
    dataset, found = tmp_path / "d", [Damage("FileChanged", "tiles.parquet", "It is not there.")]
    dataset.mkdir()
    monkeypatch.setattr(module, "_verified", lambda *arguments: found)
    assert verify(dataset) == found

    def unmounted(folder, archive, executor):
        folder.rename(tmp_path / "elsewhere")
        folder.mkdir()  # what lies below the mount
        return found

    monkeypatch.setattr(module, "_verified", unmounted)
    with pytest.raises(ArchiveError, match=r"d: The dataset became unavailable.* Mount its disk again"):
        verify(dataset)
