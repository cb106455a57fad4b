"""`export --codec` keeps labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from spectralearth_build.checking.verify import verify
from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.errors import DamagedError
from spectralearth_build.export.recode import recode
from spectralearth_build.labels.pair import pair
from spectralearth_build.labels.read import open_labels
from spectralearth_build.layout import ROOT, label_record, label_shard
from spectralearth_build.tables import LABELS
from tests.support.files import tree
from tests.support.pairing_site import request


@pytest.mark.slow
def test_labels_stay_as_they_are_with_another_codec(bare, corine, tmp_path):
    pair(bare, [request("corine", corine)], InlineExecutor())
    recode(bare, tmp_path / "portable", "portable")
    assert verify(tmp_path / "portable") == []
    before, after = tree(bare), tree(tmp_path / "portable")
    kept = [name for name in before if "label" in name and not name.startswith("commits/")]
    assert len(kept) == 1 + 1 + 5
    kept.remove(LABELS.file)  # it bears the ids of the plan, which another codec changes
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert LABELS.read_arrow(bare).equals(LABELS.read_arrow(tmp_path / "portable"))
    assert before.keys() == after.keys()
    maps = [open_labels(each, "corine").maps([0, 4]) for each in (bare, tmp_path / "portable")]
    assert (maps[0] == maps[1]).all()
    assert pair(tmp_path / "portable", [request("corine", corine)], InlineExecutor()).shards == {"corine": 0}
    assert tree(tmp_path / "portable") == after


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-2])


def flipped(path):
    path.write_bytes(path.read_bytes()[:-1] + b"x")


@pytest.mark.parametrize("harm", [cut_short, flipped, Path.unlink])
@pytest.mark.parametrize("name", [label_shard("corine", 1), label_record("corine", 1)])
def test_damaged_labels_are_not_passed_on(name, harm, bare, corine, tmp_path):
    pair(bare, [request("corine", corine)], InlineExecutor())
    harm(bare / name)
    with pytest.raises(DamagedError, match="Run `pair` again"):
        recode(bare, tmp_path / "portable", "portable")
    assert not (tmp_path / "portable" / ROOT).exists()
