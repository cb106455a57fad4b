"""What cannot be meant is refused with what was expected, by every call that users write."""

import datetime
import math

import numpy as np
import pandas as pd
import pytest

from spectralearth_build import open_dataset
from spectralearth_build.errors import UsageError
from spectralearth_build.export.driver import export
from spectralearth_build.export.format import Options
from spectralearth_build.export.selection import Filters
from spectralearth_build.loader import Loader
from spectralearth_build.split.recipe import Recipe, parse_fractions

NAN = math.nan
PLACE = "32632_20000_174000"
BBOX = "bbox must be four numbers in degrees: west, south, east, north; got "
QUERIES = [
    *(({"bbox": bbox}, BBOX) for bbox in [(1, 2, 3), (1, 2, 3, 4, 5), "1234", "abcd", 5, (1, 2, 3, None),
                                          (1, 2, 3, NAN), ("a", 1, 2, 3), (5, 50, 16, 40), (400, 0, 1, 1)]),
    *(({"time": time}, "time must be two values") for time in ["2024-06-01", ("2024-06-01",), 5,
                                                          datetime.date(2024, 1, 1), {"start": "2024", "end": "2025"}]),
    *(({"time": (edge, None)}, "is not a date") for edge in ["a", "2024-13-01", "NaT", NAN, 2024, "99999-01-01", True]),
    ({"time": ("2025", "2024")}, "ends before it starts"),
    *(({"min_dates": n}, "min_dates must be a whole number, 0 or more") for n in ["2", -1, 2.5, NAN, None, True]),
    *(({"max_cloud": x}, "max_cloud must be a number, from 0 to 1") for x in ["0.1", -0.1, 5, NAN, math.inf]),
    ({"columns": "patch_id"}, "columns must be a list of names"),
    ({"columns": 5}, "columns must be a list of names"),
    ({"columns": ["nope"]}, "columns has no 'nope'. Choose from patch_id, "),
]  # fmt: skip
LOADERS = [
    *(({name: bad}, f"{name} must be a whole number, 1 or more")
      for name in ("batch_size", "dates", "ahead", "keep", "threads") for bad in (0, -1, 1.5, NAN, "2")),
    *(({"seed": bad}, "seed must be a whole number, 0 or more") for bad in (-1, 1.5, "a", None)),
    *(({"bands": bad}, "bands must be a list of integers from 0 to 201")
      for bad in ("abc", [1.5], [202], [-1], [], [True])),
    ({"rank": "a", "world_size": 2}, "rank must be a whole number"),
    ({"rank": 0, "world_size": 0}, "world_size must be a whole number, 1 or more"),
    ({"on_damage": None}, "Use 'raise' or 'replace'"),
    ({"patches": pd.DataFrame({"a": [1]})}, "patches must be a table with columns patch_id"),
    ({"patches": [1]}, "Pass the result of `Dataset.query`"),
    ({"bbox": (1, 2, 3)}, BBOX),
    ({"max_cloud": NAN}, "max_cloud must be a number"),
]  # fmt: skip


@pytest.fixture(scope="module")
def dataset(handmade):
    return open_dataset(handmade.folder)


def refuses(text, call, *arguments, **named):
    with pytest.raises(UsageError) as caught:
        call(*arguments, **named)
    assert text in str(caught.value)
    assert caught.value.remedy not in (
        "",
        "Please report this.",
        "Type the command with --help, or help(FUNCTION) in Python.",
    )


@pytest.mark.parametrize(("conditions", "text"), QUERIES)
def test_query(dataset, conditions, text):
    refuses(text, dataset.query, **conditions)
    refuses(text, open_dataset(dataset.path).query, **conditions)  # before any table was read, too


def test_query_takes_whatever_means_the_same(dataset):
    for bbox in ([5, 40, 16, 50], np.array([5.0, 40, 16, 50])):
        assert dataset.query(bbox=bbox).equals(dataset.query(bbox=(5, 40, 16, 50)))
    assert dataset.query(min_dates=np.int64(2)).equals(dataset.query(min_dates=2.0))
    assert dataset.query(time=[datetime.date(2023, 1, 1), None]).equals(
        dataset.query(time=("2023-01-01", None))
    )
    assert list(dataset.query(columns=("tile_id", "patch_id"))) == ["tile_id", "patch_id"]


@pytest.mark.parametrize("date", [None, NAN, 5, "x", ("2022-07-03", None)])
def test_patch(dataset, date):
    refuses("is not a date", dataset.patch, PLACE, date)


@pytest.mark.parametrize("location", [None, 5, [PLACE], NAN])
def test_location(dataset, location):
    refuses("location must be a string", dataset.series, location)
    refuses("location must be a string", dataset.patch, location, "2022-07-03")


@pytest.mark.parametrize(("arguments", "text"), LOADERS)
def test_loader(dataset, arguments, text):
    refuses(text, Loader, dataset, as_numpy=True, **arguments)


def test_loader_state(dataset):
    loader = Loader(dataset, batch_size=2, as_numpy=True)
    for state in ({}, None, [1], {"seed": 0}):
        refuses("Pass the result of `state_dict`", loader.load_state_dict, state)
    refuses("epoch must be a whole number", loader.load_state_dict, loader.state_dict() | {"epoch": "a"})
    refuses("epoch must be a whole number", loader.set_epoch, -1)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"fractions": {"train": NAN, "val": 0.5}}, "The fraction train must be a number"),
        ({"fractions": {"train": "a", "val": 0.5}}, "The fraction train must be a number"),
        ({"fractions": {"train": -0.5, "val": 1.5}}, "The fraction train must be a number, 0 or more"),
        ({"fractions": None}, "fractions must be a dict"),
        ({"buffer_km": NAN}, "buffer_km must be a number, 0 or more"),
        ({"buffer_km": "a"}, "buffer_km must be a number, 0 or more"),
        ({"seed": -1}, "seed must be a whole number"),
    ],
)
def test_splits(arguments, text):
    refuses(text, Recipe, **{"fractions": {"a": 0.5, "b": 0.5}, **arguments})


@pytest.mark.parametrize("text", ["train=nan,val=1", "train=inf,val=0.1", "train", "train=a", ""])
def test_fractions_of_the_command_line(text):
    with pytest.raises(UsageError):
        Recipe(parse_fractions(text))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"filters": Filters(min_dates=NAN)}, "min_dates must be a whole number"),
        ({"filters": Filters(bbox=(1, 2))}, BBOX),
        ({"filters": Filters(max_cloud=-1)}, "max_cloud must be a number"),
        ({"options": Options(per_file=-1)}, "per_file must be a whole number"),
        ({"options": Options(per_file=1.5)}, "per_file must be a whole number"),
        ({"options": Options(per_file=2_000_000)}, "can contain at most 1000000 patches"),
        ({"workers": -1}, "workers must be a whole number"),
    ],
)
def test_export(dataset, tmp_path, arguments, text):
    refuses(text, export, dataset.path, tmp_path / "out", "numpy", **arguments)
    assert list(tmp_path.iterdir()) == []
