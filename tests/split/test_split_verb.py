import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from spectralearth_build.cli.app import app
from spectralearth_build.split.recipe import read_recipe
from spectralearth_build.tables import LOCATIONS, PATCHES, TILES
from tests.support.split_archives import chain, islands, leaking


@pytest.fixture
def call():
    def invoke(*arguments):
        return CliRunner().invoke(app, ["split", *map(str, arguments)])

    return invoke


def write(archive, folder):
    for table, rows in ((TILES, archive.tiles), (LOCATIONS, archive.locations), (PATCHES, archive.patches)):
        table.write(rows, folder)
    return folder


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    sizes = np.random.default_rng(3).integers(3, 12, 20).tolist()
    return write(islands(sizes), tmp_path_factory.mktemp("planned"))


@pytest.fixture
def dataset(planned, tmp_path):
    return Path(shutil.copytree(planned, tmp_path / "d"))


def splits(folder):
    return pd.read_parquet(folder / "splits.parquet")


def test_a_split_is_made_shown_and_checked(call, dataset):
    done = call(dataset, "--stratify", "season,region", "--fractions", "train=0.6,val=0.2,test=0.2")
    assert done.exit_code == 0, done.output
    found = splits(dataset)
    rows = {line.split()[0]: line.split() for line in done.output.splitlines() if line.split()}
    for part, patches in found.groupby("split"):
        locations = patches["location_id"].nunique()
        assert rows[part][1] == str(len(patches))
        assert rows[part][3] == str(locations)
    assert "season=summer" in rows
    assert call("--check", dataset).exit_code == 0
    again = (dataset / "splits.parquet").read_bytes()
    assert call(dataset).exit_code == 0
    assert (dataset / "splits.parquet").read_bytes() == again
    assert read_recipe(dataset).stratify == ("season", "region")
    assert call(dataset, "--anew", "--seed", 7).exit_code == 0
    assert not splits(dataset).equals(found)


def test_a_leak_in_a_dataset_is_found(call, dataset):
    call(dataset)
    found = splits(dataset)
    train = found.index[found["split"] == "train"]
    found.loc[train[0], "split"] = "test"
    found.to_parquet(dataset / "splits.parquet")
    done = call("--check", dataset)
    assert done.exit_code == 1
    part = dict(zip(found["patch_id"], found["split"], strict=True))
    archive = islands(np.random.default_rng(3).integers(3, 12, 20).tolist())
    expected = leaking(archive, part, 5)
    rows = {line.split()[0]: line.split() for line in done.output.splitlines() if line.split()}
    for kind, names in expected.items():
        assert rows[kind][1] == str(sum(part[name] == "train" for name in names))
    assert "these parts leak" in done.output


def test_lists_go_out_and_come_back(call, dataset, planned, tmp_path):
    call(dataset)
    lists = tmp_path / "lists"
    assert call(dataset, "--export", lists).exit_code == 0
    files = [f"--{part}={lists / part}.txt" for part in ("train", "val", "test")]
    done = call("--check", *files)
    assert done.exit_code == 0, done.output
    assert "as far as names show" in done.output
    patches = PATCHES.read(dataset).merge(splits(dataset), on="patch_id")
    for part, rows in patches.groupby("split"):
        lines = [f"{r.location_id_x}/{r.tile_id}.tif" for r in rows.itertuples()]
        assert sorted((lists / f"{part}.txt").read_text().split()) == sorted(lines)
    other = tmp_path / "other"
    shutil.copytree(planned, other)
    assert call(other, "--import", lists / "splits.csv").exit_code == 0
    pd.testing.assert_frame_equal(splits(other), splits(dataset))
    text = (lists / "splits.csv").read_text()
    (lists / "splits.csv").write_text(text.replace(",train", ",test", 1))
    before = (other / "splits.parquet").read_bytes()
    refused = call(other, "--import", lists / "splits.csv")
    assert refused.exit_code == 1
    assert "wrote nothing" in refused.output
    assert (other / "splits.parquet").read_bytes() == before
    (lists / "test.txt").write_text((lists / "test.txt").read_text() + (lists / "train.txt").read_text())
    assert call("--check", *files).exit_code == 1


def test_a_growing_dataset_keeps_its_parts(call, tmp_path):
    archive = islands([5] * 20)
    takes = sorted(archive.patches["datatake"].unique())
    folder = write(archive.grown_from(takes[:12]), tmp_path / "d")
    call(folder, "--fractions", "train=0.5,test=0.5")
    before = splits(folder)
    write(archive, folder)
    assert "have not been assigned yet" in call("--check", folder).output
    done = call(folder)
    assert done.exit_code == 0, done.output
    after = splits(folder)
    kept = after[after["patch_id"].isin(before["patch_id"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, before)
    assert after["split"].value_counts(normalize=True)["test"] == pytest.approx(0.5, abs=0.06)


def test_left_out_patches_are_said_and_whole_refuses(call, tmp_path):
    folder = write(chain(), tmp_path / "d")
    done = call(folder, "--whole", "--buffer-km", 2)
    assert done.exit_code == 2
    assert "tied together" in done.stderr
    assert not (folder / "splits.parquet").exists()
    done = call(folder, "--buffer-km", 2)
    assert "(left out)" in done.output
    assert call("--check", folder).exit_code == 0
    assert call("--check", "--whole", folder).exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{d}", "--fractions", "train=0.5,test=0.4"], "add up to 1"),
        (["{d}", "--fractions", "train:0.5"], "is not a fraction"),
        (["{d}", "--fractions", "../x=0.5,b=0.5"], "cannot be the name of a part"),
        (["{d}", "--stratify", "colour"], "no criterion 'colour'"),
        (["{d}", "--stratify", "crop=nowhere.csv"], "no such table"),
        (["{d}", "--check"], "There is no splits.parquet"),
        (["{d}", "--check", "--export", "x"], "Give only one of"),
        (["{d}", "--check", "--train", "{d}/tiles.parquet"], "Give either a dataset or lists"),
        ([], "Give either a dataset or lists"),
    ],
)
def test_wrong_usage_is_explained(call, planned, arguments, message):
    done = call(*(text.format(d=planned) for text in arguments))
    assert done.exit_code == 2
    assert message in done.stderr


def test_labels_are_shared_out(call, dataset, tmp_path):
    patches = PATCHES.read(dataset)
    rows = patches[["patch_id"]].assign(crop=np.where(patches["datatake"] < "DT0000000008", "rice", "wheat"))
    rows[::2].to_csv(tmp_path / "crops.csv", index=False)
    done = call(dataset, "--stratify", f"crop={tmp_path / 'crops.csv'}", "--fractions", "a=0.5,b=0.5")
    assert done.exit_code == 0, done.output
    shown = {line.split()[0]: line.split()[1:] for line in done.output.splitlines() if line.split()}
    part = splits(dataset).set_index("patch_id")["split"]
    for name, names in (("rice", rows[::2][rows["crop"][::2] == "rice"]["patch_id"]),
                        ("none", rows[1::2]["patch_id"])):  # fmt: skip
        share = 100 * (part[names] == "a").sum() / (part == "a").sum()
        assert shown[f"crop={name}"][0] == str(len(names))
        assert float(shown[f"crop={name}"][1]) == pytest.approx(share, abs=0.06)
