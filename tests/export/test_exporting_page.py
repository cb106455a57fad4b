import gc
import re
import shlex
import warnings
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from spectralearth_build.cli.app import app

PAGE = Path(__file__).parents[2] / "docs" / "exporting.md"
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_every_block_of_the_page_runs(source, tmp_path, monkeypatch, truth):
    text = PAGE.read_text(encoding="utf-8")
    blocks = BLOCK.findall(text)
    assert len(blocks) == text.count("\n```\n")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-dataset").symlink_to(source)
    names = {}
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", ResourceWarning
        )  # webdataset leaves its files to the garbage collector
        for language, block in blocks:
            if language == "bash":  # a codec needs a dataset that was built: see test_recode_verb
                for line in (line for line in block.splitlines() if "--codec" not in line):
                    done = CliRunner().invoke(app, shlex.split(line)[1:])
                    assert done.exit_code == 0, f"{line}\n{done.output}"
            elif "litdata" not in block:  # tested where it is installed, in test_export_litdata
                exec(compile(block, str(PAGE), "exec"), names)
        names.pop("stream")
        gc.collect()
    assert names["first"].dtype == np.int16
    assert not np.array_equal(names["first"], names["second"]), "two dates of one location"
    assert names["cube"].shape == (202, 128, 128)
    assert len(names["wavelengths"]) == len(names["nm"]) == 202
    assert names["patch"].shape == (3, 128, 128)
    assert any(np.array_equal(names["cube"], cube) for cube in truth.values())
    assert (tmp_path / "alps" / "manifest.json").is_file()
