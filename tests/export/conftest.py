"""A small dataset, and what zarr-python reads from it."""

from pathlib import Path

import numpy as np
import pytest
import zarr

from spectralearth_build.export.driver import export
from spectralearth_build.export.format import Options
from spectralearth_build.tables import PATCHES
from tests.support.handmade_dataset import make


@pytest.fixture(scope="session")
def source(tmp_path_factory) -> Path:
    """The folder of the dataset; not to be written to."""
    return make(tmp_path_factory.mktemp("source") / "dataset").folder


@pytest.fixture(scope="session", autouse=True)
def offline(tmp_path_factory):
    """Keep Hugging Face's packages off the network and their caches here; they look when they are imported."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):
            patch.setenv(name, "1")
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("huggingface")))
        yield


@pytest.fixture(scope="session")
def truth(source) -> dict[str, np.ndarray]:
    """Patches as zarr-python reads them, by patch_id."""
    array = zarr.open_group(source / "store.zarr", mode="r")["reflectance"]
    patches = PATCHES.read(source).query("status == 'written'")
    return {
        name: np.asarray(array[row])
        for name, row in zip(patches["patch_id"], patches["store_row"], strict=True)
    }


@pytest.fixture(scope="session")
def exported(source, tmp_path_factory):
    """Export once to each format asked for, three patches a file."""
    made = {}

    def once(to: str) -> Path:
        if to not in made:
            made[to] = tmp_path_factory.mktemp("exported") / to
            export(source, made[to], to, options=Options(per_file=3))
        return made[to]

    return once
