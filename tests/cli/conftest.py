"""A tiny archive, a dataset built from it, and a way to call the command line."""

import pytest
from typer.testing import CliRunner

from spectralearth_build.cli.app import app
from tests.support.small_archive import write_noise_tile


@pytest.fixture(scope="session")
def archive(tmp_path_factory):
    """Two dates of one place; not to be written to."""
    folder = tmp_path_factory.mktemp("cli") / "archive"
    for number, shift in enumerate([(0, 0), (3, 5)], 1):
        write_noise_tile(folder, number, shift)
    return folder


@pytest.fixture(scope="session")
def built(archive, tmp_path_factory):
    """A dataset built from `archive` without interruption, its output beside it; not to be written to."""
    dataset = tmp_path_factory.mktemp("built") / "d"
    options = ["--scheduler", "inline", "--compare"]
    done = CliRunner().invoke(app, ["build", str(archive), str(dataset), *options])
    assert done.exit_code == 0, done.output
    (dataset.parent / "output.txt").write_text(done.output, encoding="utf-8")
    return dataset


@pytest.fixture
def call():
    """Call the command line in this process, on the inline executor where it takes one."""

    def invoke(*arguments):
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return invoke
