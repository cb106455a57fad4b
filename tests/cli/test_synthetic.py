import shutil

import pytest

from spectralearth_build.errors import StoppedError
from spectralearth_build.synthetic import archive as synthetic
from spectralearth_build.tables import TILES
from tests.support.files import tree

INLINE = ("--scheduler", "inline")


@pytest.fixture
def asked(archive, monkeypatch):
    """Let `synthesize` hand out the tiny archive; the list gets the options it was asked for."""
    seen = []

    def fake(target, options, executor=None):
        seen.append(options)
        shutil.copytree(archive, target)
        return list(range(2))

    monkeypatch.setattr(synthetic, "synthesize", fake)
    return seen


@pytest.mark.slow
def test_demo_builds_compares_and_tells_where_the_report_is(call, asked, built, tmp_path):
    done = call("demo", tmp_path / "d", *INLINE)
    assert done.exit_code == 0, done.output
    assert asked == [synthetic.ArchiveOptions("demo", dirty=("night", "truncated_image"))]
    assert "equals its source pixels" in done.output
    summary = done.output.splitlines()[-5:]
    assert summary[0] == "products   2 found: 2 used"
    assert summary[1] == "patches    2 written, 0 skipped"
    assert summary[2] == "locations  1 with 2 dates"
    assert summary[4] == f"report     {tmp_path / 'd' / 'report.html'}"
    assert tree(tmp_path / "d") == tree(built)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d", "d-archive"]


@pytest.mark.slow
def test_a_stopped_demo_goes_on_and_a_finished_one_does_nothing_and_says_so(
    call, asked, tmp_path, monkeypatch
):
    def stop(target, options, executor=None):
        (target / "half").mkdir(parents=True)
        raise StoppedError("Stopped.")

    with monkeypatch.context() as patch:
        patch.setattr(synthetic, "synthesize", stop)
        assert call("demo", tmp_path / "d", *INLINE).exit_code == 75
    assert call("demo", tmp_path / "d", *INLINE).exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d", "d-archive"]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    done = call("demo", tmp_path / "d", *INLINE)
    assert done.exit_code == 0
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == before
    assert len(asked) == 1
    assert done.output.count("nothing to do") == 5


def test_synthesize_passes_its_options_on(call, asked, tmp_path):
    options = ["--tiles", 5, "--seed", 3, "--size", 200, "--dirty", "night", "--dirty", "empty_image"]
    more = ["--layouts", "mixed", "--noise", 0, "--no-clouds"]
    done = call("synthesize", tmp_path / "a", *options, *more, *INLINE)
    assert done.exit_code == 0, done.output
    dirty = ("night", "empty_image")
    assert asked == [synthetic.ArchiveOptions("random", 5, 3, 200, dirty, synthetic.MIXED, 0.0, False)]


def test_synthesize_refuses_unknown_faults_and_full_folders(call, tmp_path):
    done = call("synthesize", tmp_path / "a", "--dirty", "sparkling", *INLINE)
    assert done.exit_code == 2
    assert "sparkling" in done.stderr
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x").touch()
    assert call("synthesize", tmp_path / "b", *INLINE).exit_code == 2


@pytest.mark.slow
def test_footprints_alone_can_be_planned(call, tmp_path):
    done = call("synthesize", tmp_path, "--footprints-only", "--tiles", 40, "--seed", 1)
    assert done.exit_code == 0, done.output
    assert len(TILES.read(tmp_path)) == 40
    assert call("synthesize", tmp_path, "--footprints-only", "--tiles", 40).exit_code == 2
    done = call("plan", tmp_path, *INLINE)
    assert done.exit_code == 0, done.output
    assert "patches at" in done.output
