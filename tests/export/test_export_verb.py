import pytest
from typer.testing import CliRunner

from spectralearth_build.cli.app import app


def call(*arguments):
    return CliRunner().invoke(app, ["export", *map(str, arguments)])


def test_options_reach_the_export(source, tmp_path):
    options = ["--to", "numpy", "--bbox", "5", "40", "16", "48", "--max-cloud", "0.03", "--min-dates", "2"]
    done = call(source, tmp_path / "t", *options, "--bands", "490,560", "--per-file", "2", "--workers", "1")
    assert done.exit_code == 0, done.output
    assert "5 patches" in done.output
    again = call(source, tmp_path / "t", *options, "--bands", "490,560", "--per-file", "2")
    assert again.exit_code == 0
    assert "already complete" in again.output
    (tmp_path / "t" / "train-00000.npy").unlink()
    assert call(source, tmp_path / "t", *options, "--bands", "490,560", "--per-file", "2").exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--to", "numpy", "--compress", "zstd"], "for GeoTIFF"),
        (["--to", "numpy", "--start", "soon"], "soon"),
        (["--to", "numpy", "--split", "train"], "no splits"),
        (["--to", "numpy", "--bands", "red"], "red"),
        (["--to", "csv"], "csv"),
        ([], "either a format or a codec"),
        (["--to", "numpy", "--codec", "fast"], "either a format or a codec"),
        (["--codec", "fast", "--min-dates", "2"], "a whole dataset"),
        (["--codec", "fast", "--bands", "490"], "a whole dataset"),
        (["--codec", "best", "--scheduler", "inline"], "best"),
    ],
)
def test_wrong_usage_ends_with_2_and_leaves_nothing(source, tmp_path, arguments, named):
    done = call(source, tmp_path / "t", *arguments)
    assert done.exit_code == 2
    assert named in done.output
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_touched(source, tmp_path):
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "mine").touch()
    done = call(source, tmp_path / "t", "--to", "hf")
    assert done.exit_code == 2
    assert "contains no export" in done.output
    unbuilt = tmp_path / "unbuilt"
    unbuilt.mkdir()
    assert call(unbuilt, tmp_path / "u", "--to", "hf").exit_code == 2
