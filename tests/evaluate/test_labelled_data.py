import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from spectralearth_build.errors import UsageError
from spectralearth_build.evaluate.crops import tiles
from spectralearth_build.evaluate.data import labelled
from spectralearth_build.evaluate.task_config import EvaluateConfig
from spectralearth_build.labels.classes import nomenclature
from tests.support.labelled_dataset import CODES

CONFIG = EvaluateConfig(labels="corine", task="segmentation")
INDEX = {
    code: each.index for each in nomenclature("corine19").classes for code in each.codes if code in CODES
}


def index_map(known, location):
    """Class indices of a location, by a loop over the codes."""
    codes = known.truth(location)
    out = np.full(codes.shape, 255, np.uint8)
    for code, index in INDEX.items():
        out[codes == code] = index
    return out


def brute(crop, task):
    """What a crop is said to hold."""
    share = {index: (crop == index).sum() / max(1, (crop != 255).sum()) for index in INDEX.values()}
    if task == "single":
        return max(sorted(share), key=lambda index: share[index])
    return [share.get(index, 0) > 0 and share[index] >= 0.02 for index in range(19)]


@pytest.mark.parametrize("task", ["segmentation", "multilabel", "single"])
@pytest.mark.parametrize("size", [128, 50])
def test_truth_is_that_of_the_raster(known, task, size):
    data = labelled(known.folder, CONFIG.changed(task=task, size=size))
    corners = tiles(size).tolist()
    for part in data.parts.values():
        truth, there = part.every(torch.arange(len(part)))
        assert len(truth) == len(there) == len(part) * len(corners)
        assert there.all()
        for k, place in enumerate(part.patches["location_id"]):
            whole = index_map(known, place)
            for j, (line, col) in enumerate(corners):
                crop = whole[line : line + size, col : col + size]
                expected = crop if task == "segmentation" else brute(crop, task)
                assert np.array_equal(truth[k * len(corners) + j], expected)
    where = torch.tensor([[7, 70], [0, 0]]) if size < 128 else torch.zeros(2, 2).long()
    (some, _), part = data.parts["test"].crop(torch.tensor([1, 0]), where), data.parts["test"]
    for got, at, (line, col) in zip(some, (1, 0), where.tolist(), strict=True):
        crop = index_map(known, part.patches["location_id"].iloc[at])[line : line + size, col : col + size]
        assert np.array_equal(got, crop if task == "segmentation" else brute(crop, task))


def test_patches_without_labels_are_left_out_and_counted(known):
    data = labelled(known.folder, CONFIG)
    assert data.samples == {
        "train": 4, "train_all": 4, "val": 2, "test": 2, "locations": 4, "unlabelled": 1,
    }  # fmt: skip
    splits = pd.read_parquet(known.folder / "splits.parquet").set_index("patch_id")["split"]
    for name, part in data.parts.items():
        assert set(splits[part.patches["patch_id"]]) == {name}


def test_a_crop_without_labels_is_not_there(known):
    data = labelled(known.folder, CONFIG.changed(size=16))
    part = data.parts["train"]
    maps = part.maps.clone()
    maps[0, :64] = 255
    _, there = replace(part, maps=maps).every(torch.arange(len(part)))
    assert there.view(len(part), -1).sum(1).tolist() == [32, 64, 64, 64]


def test_a_share_takes_whole_locations_of_train_alone(known):
    all_of_it = labelled(known.folder, CONFIG)
    for task in ("multilabel", "segmentation"):
        half = labelled(known.folder, CONFIG.changed(task=task, fraction=0.5))
        assert half.samples["train"] == half.samples["locations"] == 2
        assert half.samples["train_all"] == 4
        for name in ("val", "test"):
            assert half.parts[name].patches.equals(all_of_it.parts[name].patches)


def test_classes_that_train_lacks_are_told(known):
    notes = set()
    for seed in range(4):
        data = labelled(known.folder, CONFIG.changed(task="multilabel", fraction=0.25, seed=seed))
        held = data.parts["train"].whole.any(0)
        for name in ("val", "test"):
            new = data.parts[name].whole.any(0) & ~held
            told = [note for note in data.notes if re.match(f"{name}: .* have no label in train: ", note)]
            assert bool(new.any()) == bool(told)
            notes |= set(told)
            there = int(data.parts[name].whole.any(0).sum())
            assert (
                f"{name}: {19 - there} of 19 classes do not occur; macro figures count them as 0."
                in data.notes
            )
    assert notes


@pytest.fixture
def copy(known, tmp_path):
    """A dataset to be changed, without its pixels."""
    folder = tmp_path / "dataset"
    shutil.copytree(known.folder, folder, ignore=shutil.ignore_patterns("work", "commits", "reflectance"))
    return folder


def change_splits(folder, **parts):
    frame = pd.read_parquet(folder / "splits.parquet")
    frame["split"] = frame["split"].replace(parts)
    frame.to_parquet(folder / "splits.parquet")


def test_what_is_missing_is_named_with_a_remedy(copy):
    with pytest.raises(UsageError, match=r"no label 'cdl'.*corine"):
        labelled(copy, CONFIG.changed(labels="cdl"))
    change_splits(copy, val="test")
    with pytest.raises(UsageError, match="no split 'val'"):
        labelled(copy, CONFIG)
    (copy / "splits.parquet").unlink()
    with pytest.raises(UsageError, match=r"no splits.*Run `split DATASET`"):
        labelled(copy, CONFIG)


def test_a_part_without_labels_is_refused(copy):
    frame = pd.read_parquet(copy / "splits.parquet")
    frame["split"] = ["train", "train", "val", *["train"] * 5, "test"]
    frame.to_parquet(copy / "splits.parquet")
    with pytest.raises(
        UsageError, match=r"None of the 1 patches of val has a label of 'corine'.*split --anew"
    ):
        labelled(copy, CONFIG)


@pytest.mark.parametrize(
    ("fraction", "message"),
    [(0.25, r"With fraction=0.25, .* contain only '.+'"), (0.5, "No class of val occurs in train")],
)
def test_too_few_labels_are_refused(known, fraction, message):
    """Some seed takes them so; the others do not complain."""
    said = []
    for seed in range(6):
        try:
            labelled(known.folder, CONFIG.changed(task="single", fraction=fraction, seed=seed))
        except UsageError as error:
            said.append(f"{error.what} {error.remedy}")
    assert 0 < len(said) < 6 or fraction == 0.25
    assert any(re.search(message, each) for each in said)
    assert all("Raise --fraction" in each for each in said)
