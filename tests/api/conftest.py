"""A small archive with land cover, and the dataset that the public functions build from it."""

from dataclasses import dataclass
from pathlib import Path

import pytest

import spectralearth_build as se
from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.synthetic.archive import ArchiveOptions, synthesize
from spectralearth_build.synthetic.land_cover import areas_of_dataset, land_cover

INLINE = {"run.scheduler": "inline"}


@dataclass(frozen=True)
class Made:
    """Folders; not to be changed."""

    archive: Path
    cover: Path
    dataset: Path
    """With the label corine, and three parts."""
    built: se.Built


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("api")
    archive, dataset, cover = folder / "archive", folder / "dataset", folder / "cover"
    synthesize(archive, ArchiveOptions("random", 6, 0, 150, clouds=False), InlineExecutor())
    built = se.build_dataset(str(archive), dataset, INLINE)
    land_cover(cover, areas_of_dataset(dataset), 0)
    se.pair_labels(dataset, {"corine": cover / "corine.tif"}, classes="corine19", config=INLINE)
    se.split_dataset(dataset, fractions={"train": 0.4, "val": 0.3, "test": 0.3}, buffer_km=0)
    return Made(archive, cover, dataset, built)


@pytest.fixture
def copy(made, tmp_path):
    """The dataset once more, to be changed."""
    import shutil

    return shutil.copytree(made.dataset, tmp_path / "copy")
