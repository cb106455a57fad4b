import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import environment

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_every_block_of_the_tutorial_runs(tmp_path, monkeypatch, capsys):
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    assert len(blocks) == PAGE.read_text(encoding="utf-8").count("\n```\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
    command = f'spectralearth-build() {{ "{sys.executable}" -m spectralearth_build "$@"; }}\n'
    names = {}
    for language, block in blocks:
        if language == "python":
            exec(compile(block, str(PAGE), "exec"), names)
            continue
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command + block], capture_output=True, text=True
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
    printed = capsys.readouterr().out
    for expected in ("BrokenRasterError", "superseded", "rejected", "EPSG:326"):
        assert expected in printed
    assert (tmp_path / "dataset/report.html").stat().st_size > 100_000
    assert set(names["cube"].dims) == {"date", "band", "y", "x"}
    assert names["cube"].sizes["date"] == names["dataset"].locations["n"].max()
