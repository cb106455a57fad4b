import pandas as pd
import pytest

from spectralearth_build.checking.split_check import check_splits
from spectralearth_build.checking.verify import verify
from spectralearth_build.export.recode import recode
from spectralearth_build.store.planned import load_plan
from spectralearth_build.tables import PATCHES, SPLITS


@pytest.fixture
def split(finished):
    """A finished dataset with all its patches in one part."""
    patches = PATCHES.read(finished.dataset)
    live = patches[patches["status"] == "written"]
    rows = live[["patch_id", "location_id"]].assign(split="train", reason="")
    SPLITS.write(SPLITS.frame(rows), finished.dataset)
    return finished, rows, patches


def test_sound_splits_are_no_damage(split):
    finished, rows, _ = split
    assert verify(finished.dataset) == []
    pd.DataFrame({"location_id": rows["location_id"].unique(), "split": "train"}).to_parquet(
        finished.dataset / SPLITS.file
    )
    assert verify(finished.dataset) == []


@pytest.mark.slow
def test_a_recoded_dataset_has_them_too(split, tmp_path):
    finished, _, _ = split
    recode(finished.dataset, tmp_path / "dense", "dense")
    assert (tmp_path / "dense" / SPLITS.file).read_bytes() == (finished.dataset / SPLITS.file).read_bytes()
    assert verify(tmp_path / "dense") == []


def test_wrong_splits_are_found(split):
    finished, rows, patches = split
    changes = {
        "occurs more than once": lambda r: pd.concat([r, r[:1]]),
        "is not a patch": lambda r: r.assign(patch_id=["x", *r["patch_id"][1:]]),
        "is a datatake in two": lambda r: r.assign(split=["test", *r["split"][1:]]),
        "is a location in two": lambda r: r.assign(
            split=(r["patch_id"].str[-12:] == patches["datatake"].iloc[0]).map({True: "a", False: "b"})
        ),
    }
    for text, change in changes.items():
        SPLITS.write(SPLITS.frame(change(rows)), finished.dataset)
        messages = [str(damage) for damage in check_splits(finished.dataset, load_plan(finished.dataset))]
        assert any(text in message for message in messages), (text, messages)


def test_an_unreadable_file_is_found(split):
    finished, _, _ = split
    path = finished.dataset / SPLITS.file
    data = bytearray(path.read_bytes())
    data[-20] ^= 255
    path.write_bytes(data)
    assert [damage.kind for damage in verify(finished.dataset)] == ["SplitsWrong"]
