import re
from pathlib import Path

import pytest

pytest.importorskip("torch")
PAGE = Path(__file__).parents[2] / "docs" / "loading.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_every_example_runs(known, tmp_path, monkeypatch, capsys):
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    assert len(blocks) == PAGE.read_text(encoding="utf-8").count("\n```\n") == 8
    (tmp_path / "demo-dataset").symlink_to(known.folder)
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
        if "batches" in names and hasattr(names["batches"], "close"):
            names["batches"].close()
    printed = capsys.readouterr().out
    for expected in (
        "torch.Size([8, 3, 128, 128])",
        "\nTrue\n",
        "numpy.ndarray",
        "[4, 2, 202, 128, 128]",
        " 32632 ",
    ):
        assert expected in printed, expected
