"""The example of docs/evaluation.md."""

import re
from pathlib import Path

import pytest

from spectralearth_build.evaluate.result import read_result

PAGE = Path(__file__).parents[2] / "docs" / "evaluation.md"


@pytest.mark.slow
def test_the_example_runs(known, weights, tmp_path, monkeypatch, capsys):
    (block,) = re.findall(
        r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    (tmp_path / "dataset").symlink_to(known.folder)
    (tmp_path / "run").mkdir()
    (tmp_path / "run/encoder.safetensors").symlink_to(weights)
    monkeypatch.chdir(tmp_path)
    exec(compile(block, str(PAGE), "exec"), {})
    written = read_result(tmp_path / "corine-frozen")
    shown = f"{written.figures['test_map_micro']} {written.figures['test_map_macro']} 0"
    assert capsys.readouterr().out.strip().endswith(shown)
