import numpy as np
import pytest
import zarr


@pytest.mark.slow
def test_a_dataset_with_another_codec_holds_the_same(call, built, tmp_path):
    done = call("export", built, tmp_path / "fast", "--codec", "fast", "--scheduler", "inline")
    assert done.exit_code == 0, done.output
    assert "MB before" in done.output
    stores = [zarr.open_group(folder / "store.zarr", mode="r") for folder in (built, tmp_path / "fast")]
    assert [store.attrs["codec"] for store in stores] == ["spectral", "fast"]
    assert np.array_equal(*(store["reflectance"][:] for store in stores))
    assert call("verify", tmp_path / "fast", "--scheduler", "inline").exit_code == 0
