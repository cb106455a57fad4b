from itertools import groupby, pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralearth_build.dataset.access import open_dataset
from spectralearth_build.errors import UsageError
from spectralearth_build.export.selection import Filters, Selection, select_patches

ALL = np.arange(202)


@given(
    st.lists(st.tuples(st.sampled_from(["test", "train"]), st.integers(1, 9)), min_size=1), st.integers(1, 7)
)
def test_parts_cover_all_once_and_cut_only_long_locations(dates, size):
    dates = sorted(dates)
    rows = [(f"place{k}", split) for k, (split, count) in enumerate(dates) for _ in range(count)]
    selection = Selection(pd.DataFrame(rows, columns=["location_id", "split"]), {}, {})
    parts = selection.parts(size)
    assert [parts[0].start, *(part.stop for part in parts)] == [*(part.start for part in parts), len(rows)]
    assert all(0 < len(part) <= size for part in parts)
    for split, mine in groupby(parts, key=lambda part: part.split):
        mine = list(mine)
        assert [(part.number, part.of) for part in mine] == [(k, len(mine)) for k in range(len(mine))]
        assert {rows[k][1] for part in mine for k in range(part.start, part.stop)} == {split}
    for before, after in pairwise(parts):
        if rows[before.stop - 1][0] == rows[after.start][0]:
            assert sum(name == rows[after.start][0] for name, _ in rows) > size


def test_filters_are_those_of_query(source):
    dataset = open_dataset(source)
    filters = Filters(bbox=(5, 40, 16, 48), start="2022-08-01", end="2024-07-21", min_dates=2, max_cloud=0.04)
    found = select_patches(dataset, filters, ALL)
    asked = dataset.query((5, 40, 16, 48), ("2022-08-01", "2024-07-21"), 2, 0.04)
    assert 0 < len(asked) < 9
    assert sorted(found.frame["patch_id"]) == sorted(asked["patch_id"])
    assert filters.document().keys() == {"bbox", "start", "end", "min_dates", "max_cloud"}
    assert Filters().document() == {}


def test_the_order_does_not_depend_on_filters(source):
    dataset = open_dataset(source)
    whole = select_patches(dataset, Filters(), ALL).frame["patch_id"].tolist()
    some = select_patches(dataset, Filters(max_cloud=0.02), ALL).frame["patch_id"].tolist()
    assert some == [name for name in whole if name in some]
    assert len(some) < len(whole)


def test_splits_of_the_dataset_are_kept_apart(source, tmp_path):
    folder = tmp_path / "split"
    folder.mkdir()
    for path in source.iterdir():
        (folder / path.name).symlink_to(path)
    places = open_dataset(source).locations["location_id"].tolist()
    names = ["train", "test", "train", "test"]
    pd.DataFrame({"location_id": places[:4], "split": names}).to_parquet(folder / "splits.parquet")
    found = select_patches(open_dataset(folder), Filters(), ALL)
    assert dict(found.frame[["location_id", "split"]].itertuples(index=False)) == dict(
        zip(places, [*names, "none"], strict=True)
    )
    assert {part.split for part in found.parts(64)} == {"train", "test", "none"}
    pd.DataFrame({"location_id": places, "split": "../x"}).to_parquet(folder / "splits.parquet")
    with pytest.raises(UsageError, match="cannot be used as a file name"):
        select_patches(open_dataset(folder), Filters(), ALL)


def test_bands_take_their_wavelengths_along(source):
    dataset = open_dataset(source)
    found = select_patches(dataset, Filters(), np.array([3, 200]))
    tile = found.frame["tile_id"].iloc[0]
    whole = dataset.tiles.set_index("tile_id")["wavelength_nm"][tile]
    assert found.plain(0)["wavelength_nm"] == [whole[3], whole[200]]


def test_no_patch_is_an_error(source):
    with pytest.raises(UsageError, match="No patch"):
        select_patches(open_dataset(source), Filters(start="2030-01-01"), ALL)
