"""Where files cannot grow, exports end with 28: nothing bears the target's name, and the command goes on later."""

from __future__ import annotations

import resource
from contextlib import contextmanager

import pytest
from typer.testing import CliRunner

from spectralearth_build.cli.app import app
from tests.support.files import tree

pytestmark = pytest.mark.slow

FORMS = ("webdataset", "litdata", "geotiff", "numpy", "hf")


@contextmanager
def small_files(size):
    """No file of this process can be larger; Python, Arrow and C write through the same limit."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [1, 30_000])
@pytest.mark.parametrize("form", FORMS)
def test_an_export_is_whole_or_not_there(source, tmp_path, form, size):
    def export(target):
        return CliRunner().invoke(app, ["export", str(source), str(target), "--to", form])

    with small_files(size):
        done = export(tmp_path / "out")
    assert done.exit_code == 28, done.output
    assert "File too large" in done.output
    assert not (tmp_path / "out").exists()
    assert export(tmp_path / "out").exit_code == 0
    assert export(tmp_path / "other").exit_code == 0
    assert tree(tmp_path / "out", ()) == tree(tmp_path / "other", ())
