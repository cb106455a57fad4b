"""plan.json as a typed document: its bytes are those of earlier versions, and what they wrote still opens."""

import json

import pytest

from spectralearth_build.errors import DamagedError
from spectralearth_build.plan_document import Estimate, Generation, Inputs, PlanDocument

# As the version before this module wrote it, but for the line breaks: keys sorted, one space deep.
WRITTEN = {
    "counts": {"components": 1, "locations_by_dates": {"2": 3}},
    "estimate": {"core_seconds": 0.125, "raw_bytes": 30, "stored_bytes": 14, "worker_bytes": 7},
    "generations": [
        {
            "first_shard": 0, "id": "a", "locations": 3, "new_tiles": ["DT1_001"], "patches": 6,
            "replaced_tiles": [], "retired": 0, "series": 0, "shards": 2,
        },
        {
            "first_shard": 2, "id": "b", "locations": 0, "new_tiles": [], "patches": 1,
            "replaced_tiles": ["DT1_001"], "retired": 1, "series": 1, "shards": 1,
        },
    ],
    "id": "b",
    "inputs": {"settings": {"plan.n": 2, "store.codec": "spectral"}, "tiles": {"DT1_001": ["product", "mark"]}},
}  # fmt: skip
DATA = json.dumps(WRITTEN, indent=1).encode()


def test_bytes_come_back():
    plan = PlanDocument.decode(DATA)
    assert plan.encode() == DATA
    assert plan.document() == json.loads(DATA, object_hook=lambda each: {
        key: tuple(value) if key in ("new_tiles", "replaced_tiles", "generations") else value
        for key, value in each.items()
    })  # fmt: skip
    assert plan.inputs == WRITTEN["inputs"]
    assert plan.estimate == Estimate(30, 14, 7, 0.125)


def test_which_generation_a_shard_came_with():
    plan = PlanDocument.decode(DATA)
    assert [plan.id_of(shard) for shard in (0, 1, 2, 3)] == ["a", "a", "b", "b"]
    assert (plan.ids, plan.shards) == (("a", "b"), 3)


def test_what_is_not_said_is_none():
    generation = Generation("a", 0)
    short = {
        "id": "a",
        "inputs": {"settings": {}, "tiles": {}},
        "generations": [{"id": "a", "first_shard": 0}],
    }
    plan = PlanDocument.decode(json.dumps(short).encode())
    assert plan == PlanDocument("a", Inputs(settings={}, tiles={}), (generation,))
    assert plan.shards == 0


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"null", b"{}", b'{"id": "a"}', DATA.replace(b"first_shard", b"first"),
     DATA.replace(b'"first_shard": 2', b'"first_shard": Infinity'), b"[" * 100_000]
    + [json.dumps(WRITTEN | change).encode() for change in (
        {"generations": []}, {"generations": 3}, {"inputs": {}}, {"estimate": {"raw_bytes": 1}},
        {"inputs": {"settings": {}, "tiles": {"a": ["product"]}}},
    )],
)  # fmt: skip
def test_anything_else_is_one_error(data, tmp_path):
    (tmp_path / "plan.json").write_bytes(data)
    with pytest.raises(ValueError):  # noqa: PT011 - json's own is one too
        PlanDocument.decode(data)
    with pytest.raises(DamagedError, match=r"plan\.json"):
        PlanDocument.read(tmp_path / "plan.json")
    assert PlanDocument.readable(tmp_path / "plan.json") is None
    assert PlanDocument.readable(tmp_path / "nothing") is None
