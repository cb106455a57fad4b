"""The examples of docs/labels.md."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.labels.pair import pair
from tests.support.pairing_site import request

PAGE = Path(__file__).parents[2] / "docs" / "labels.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_every_example_runs(bare, corine, monkeypatch):
    pair(bare, [request("corine", corine)], InlineExecutor())
    bare.rename(bare.parent / "my-dataset")
    monkeypatch.chdir(bare.parent)
    names: dict[str, object] = {}
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    assert len(blocks) == 3
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    assert names["pixels"].shape == (202, 128, 128)
    assert names["codes"].shape == (128, 128)
    assert np.array_equal(names["codes"] - 1, names["fine"].maps([0])[0])
