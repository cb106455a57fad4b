"""P11: whatever a file of a finished dataset is replaced by, verify names it, and readers are told in our words."""

from __future__ import annotations

import json
import random
import shutil
from contextlib import suppress

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spectralearth_build.checking.verify import verify
from spectralearth_build.dataset.access import open_dataset
from spectralearth_build.errors import BuildError, DamagedError
from spectralearth_build.progress import set_quiet
from spectralearth_build.report.page import write_report
from spectralearth_build.store.index import opened_index
from tests.support.small_archive import archive_of, run_stages

DEEP = b"[" * 100_000
LOCATION = "32633_15606_182995"
SHAPES = [b"null", b"[]", b"{}", b"7", b'"text"', b"NaN", DEEP, b"\xff\xfe", b"{", b'{"files": {}}']


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    archive_of(folder / "archive", 1, 2)
    run_stages(folder / "archive", folder / "d")
    write_report(folder / "d")
    return folder / "d"


@pytest.fixture(autouse=True)
def _quiet():
    set_quiet(True)
    yield
    set_quiet(False)


@pytest.fixture
def dataset(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "d")


def names(folder):
    """A file of every kind, the second shards and the work folder apart."""
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return [
        n
        for n in found
        if not n.startswith("work/") and not any(s in n for s in ("c.1.", "c.2.", "01.json", "02.json"))
    ]


def judged(dataset, name, data):
    """Put ``data`` into the place of a file: verify must name it, whoever reads must be told in our words."""
    path = dataset / name
    before = path.read_bytes()
    path.write_bytes(data)
    found = verify(dataset)
    assert name in {damage.path for damage in found}, name
    assert all("lease report" not in str(damage) for damage in found)
    with suppress(BuildError):
        opened = open_dataset(dataset)
        opened.query(bbox=(-180, -90, 180, 90), min_dates=1)
        opened.series(LOCATION)
    path.write_bytes(before)


def test_every_file_empty_cut_or_of_another_kind(dataset, every_point):
    dice = random.Random(3)
    everything = names(dataset)
    contents = {name: (dataset / name).read_bytes() for name in everything}
    for name in everything:
        data = contents[name]
        wrong = [
            b"",
            data[: dice.randrange(len(data))],
            dice.randbytes(len(data)),
            contents[dice.choice([n for n in everything if contents[n] != data])],
        ]
        for each in wrong if every_point else [dice.choice(wrong)]:
            judged(dataset, name, each)
    assert verify(dataset) == []


def test_documents_of_another_shape(dataset, every_point):
    dice = random.Random(5)
    documents = [name for name in names(dataset) if name.endswith(".json")]
    for name in documents if every_point else dice.sample(documents, 6):
        for data in SHAPES if every_point else [DEEP, *dice.sample(SHAPES, 1)]:
            judged(dataset, name, data)


def changes_of(document):
    """The document with each value of its first levels replaced by something absurd, one at a time."""

    def paths(node, at=(), depth=3):
        children = (
            list(node.items())[:8]
            if isinstance(node, dict)
            else list(enumerate(node))[:2]
            if isinstance(node, list)
            else []
        )
        for key, value in children:
            yield (*at, key)
            if depth:
                yield from paths(value, (*at, key), depth - 1)

    for at in paths(document):
        for absurd in (None, -1, 10**30, float("inf"), "x", [], {}, "../../etc/passwd"):
            changed = json.loads(json.dumps(document))
            node = changed
            for key in at[:-1]:
                node = node[key]
            if node[at[-1]] != absurd:
                node[at[-1]] = absurd
                yield changed


@pytest.mark.parametrize(
    "name",
    ["manifest.json", "plan.json", "statistics.json", "commits/shard-00000000.json", "store.zarr/zarr.json"],
)
def test_absurd_values_in_documents(dataset, name, every_point):
    found = list(changes_of(json.loads((dataset / name).read_bytes())))
    dice = random.Random(4)
    for changed in found if every_point else dice.sample(found, min(4, len(found))):
        judged(dataset, name, json.dumps(changed).encode())


@pytest.mark.parametrize("name", ["tiles", "locations", "patches", "overlaps", "tuples", "quarantine"])
def test_tables_of_other_types(dataset, name, every_point):
    file = f"{name}.parquet"
    table = pq.read_table(dataset / file)
    wrong = [
        pa.table({"other": [1, 2]}),
        table.slice(0, 0),
        pa.concat_tables([table, table]),
        table.select(table.column_names[1:]),
        pa.Table.from_pandas(pd.DataFrame({column: ["x"] * 3 for column in table.column_names})),
        pa.table({column: pa.nulls(3) for column in table.column_names}),
    ]
    for each in wrong if every_point else random.Random(name).sample(wrong, 2):
        buffer = pa.BufferOutputStream()
        pq.write_table(each, buffer)
        data = buffer.getvalue().to_pybytes()
        if data != (dataset / file).read_bytes():
            judged(dataset, file, data)


def test_the_files_of_the_index_swapped(dataset):
    paths = [dataset / f"locations.{suffix}" for suffix in ("idx", "dat")]
    first, second = (path.read_bytes() for path in paths)
    paths[0].write_bytes(second)
    paths[1].write_bytes(first)
    assert {damage.path for damage in verify(dataset)} == {path.name for path in paths}
    with pytest.raises(DamagedError, match=r"differs from what manifest\.json says"), opened_index(dataset):
        pass
    assert len(open_dataset(dataset).query(bbox=(-179, -89, 179, 89))) > 0  # which does not need them
