import json
import re
import shutil

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from spectralearth_build.export.driver import export
from spectralearth_build.export.format import Options
from spectralearth_build.tables import PATCHES


@pytest.fixture
def datasets():
    """The package, imported when its settings are made."""
    import datasets

    datasets.disable_progress_bars()
    return datasets


@pytest.mark.slow
def test_load_dataset_opens_the_folder_and_reads_every_patch_bit_by_bit(datasets, exported, truth, tmp_path):
    found = datasets.load_dataset(str(exported("hf")), cache_dir=str(tmp_path / "cache"))
    assert list(found) == ["train"]
    train = found["train"]
    assert train.features["image"] == datasets.Array3D((202, 128, 128), "int16")
    assert train.features["acquired"] == datasets.Value("string")
    assert pd.to_datetime(train["acquired"]).equals(pd.to_datetime(train["acquired_us"], unit="us", utc=True))
    assert train.num_rows == len(truth)
    images = train.with_format("numpy", columns=["image"], dtype=np.int16)  # int64 without being told
    for name, waves, sample in zip(train["patch_id"], train["wavelength_nm"], images, strict=True):
        assert sample["image"].dtype == np.int16
        assert np.array_equal(sample["image"], truth[name])
        assert len(waves) == 202


def test_streaming_gives_the_same(datasets, exported, truth):
    stream = datasets.load_dataset(str(exported("hf")), split="train", streaming=True)
    first = next(iter(stream.with_format("numpy")))
    assert np.array_equal(first["image"], truth[first["patch_id"]])


@pytest.mark.slow
def test_torch_gets_every_column(datasets, exported, truth, source):
    """Its formatter cannot convert timestamps; everything else must come as a tensor or as text."""
    acquired = PATCHES.read(source).set_index("patch_id")["acquired"]
    for stream in (False, True):
        train = datasets.load_dataset(str(exported("hf")), split="train", streaming=stream).with_format(
            "torch"
        )
        sample = next(iter(train))
        assert np.array_equal(sample["image"].numpy(), truth[sample["patch_id"]])
        assert sample["wavelength_nm"].shape == (202,)
        assert pd.Timestamp(sample["acquired"]) == acquired[sample["patch_id"]]
        assert pd.Timestamp(sample["acquired_us"].item(), unit="us", tz="UTC") == acquired[sample["patch_id"]]


def test_an_export_that_an_earlier_version_finished_stays_finished(exported, source, tmp_path):
    folder = shutil.copytree(exported("hf"), tmp_path / "hub")
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["export"].pop("layout") == 2
    (folder / "manifest.json").write_text(
        json.dumps(manifest | {"export": manifest["export"] | {"layout": 1}})
    )
    before = sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*"))
    assert not export(source, folder, "hf", options=Options(per_file=3))
    assert sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*")) == before


def test_parquet_alone_says_the_same(exported, truth):
    folder = exported("hf")
    files = sorted(folder.glob("data/*.parquet"))
    assert all(re.fullmatch(rf"train-\d{{5}}-of-{len(files):05d}", path.stem) for path in files)
    table = pd.read_parquet(folder / "patches.parquet")
    rows = {name: pq.read_table(folder / name) for name in table["file"].unique()}
    for row in table.itertuples():
        data = rows[row.file].slice(row.index, 1)
        assert data["patch_id"][0].as_py() == row.patch_id
        image = data["image"].combine_chunks()
        image = getattr(image, "storage", image)  # if datasets was imported, it has given the column a type
        flat = image.flatten().flatten().flatten().to_numpy()
        assert np.array_equal(flat.reshape(202, 128, 128), truth[row.patch_id])


def test_the_card_tells_of_the_licence(exported):
    card = (exported("hf") / "README.md").read_text()
    assert "license: other" in card
    assert "does not allow passing products on" in card
