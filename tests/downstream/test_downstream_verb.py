import pytest
from typer.testing import CliRunner

from spectralearth_build.cli.app import app
from spectralearth_build.lock import alone
from tests.support.downstream_files import RIDGE_AND_SLOW


@pytest.fixture
def call():
    return lambda *words: CliRunner().invoke(app, ["downstream", *map(str, words)])


@pytest.fixture
def config(labelled, tmp_path):
    path = tmp_path / "b.toml"
    path.write_text(RIDGE_AND_SLOW.format(dataset=labelled))
    return path


def test_a_dry_run_lists_cells_and_runs_none(call, config, tmp_path):
    done = call(config, tmp_path / "out", "--dry-run")
    assert done.exit_code == 0, done.output
    assert "to do  ridge.r-random.frozen.100pct.s0" in done.output
    assert "2 cells, 0 of them done" in done.output
    assert not (tmp_path / "out").exists()


def test_a_page_can_be_had_before_anything_is_done(call, config, tmp_path):
    with alone(tmp_path / "out"):  # as while cells run
        done = call(config, tmp_path / "out", "--page")
    assert done.exit_code == 0, done.output
    assert "1 missing" in done.output
    assert (tmp_path / "out" / "downstream.html").is_file()


@pytest.mark.slow
def test_a_failed_cell_is_told_by_page_and_exit_code(call, config, tmp_path):
    weights = tmp_path / "torn.safetensors"
    weights.write_bytes(b"torn")
    second = (
        f'[[encoders]]\nname = "T"\nnetwork = "resnet18"\nrandom = false\npretrained.moco = "{weights}"\n'
    )
    config.write_text(
        config.read_text().replace("epochs = 100000", "epochs = 1").replace("[run]", second + "[run]")
    )
    done = call(config, tmp_path / "out", "--scheduler", "inline")
    assert done.exit_code == 4, done.output
    assert "2 cells finished, 2 failed" in done.output
    assert "torn.safetensors" in (tmp_path / "out" / "downstream.html").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [(("c.toml",), "Give CONFIG and OUT"), (("--demo", "a", "b"), "Give CONFIG and OUT"),
     (("none.toml", "out"), "none.toml: Not a readable TOML file")],
)  # fmt: skip
def test_wrong_use_says_what_to_do(call, words, said):
    done = call(*words)
    assert done.exit_code == 2
    assert said in done.output


@pytest.mark.parametrize("option", ["--dry-run", "--page"])
def test_a_demo_cannot_be_listed_before_it_is_there(call, tmp_path, monkeypatch, option):
    monkeypatch.setattr("spectralearth_build.downstream.demo.prepare", lambda *_: pytest.fail("prepared"))
    out = tmp_path / "out"
    done = call("--demo", out, option)
    assert done.exit_code == 2
    assert f"use `downstream {out / 'downstream.toml'} {out} {option}`" in done.output
    assert not out.exists()


@pytest.mark.parametrize("option", [None, "--dry-run", "--page"])
def test_a_grid_without_cells_is_told(call, config, tmp_path, option):
    (tmp_path / "w").touch()
    text = config.read_text().replace('"frozen"', '"scratch"')
    network = 'network = "resnet18"\n'
    text = text.replace(network, f"{network}random = false\npretrained = {{ mae = '{tmp_path}/w' }}\n")
    config.write_text(text)
    done = call(config, tmp_path / "out", *([option] if option else []))
    assert done.exit_code == 2, done.output
    assert "there are no cells" in done.output
    assert "Set random = true" in done.output


def test_labels_that_are_not_there_are_told_before_anything_runs(call, config, tmp_path):
    config.write_text(config.read_text().replace('labels = "corine"', 'labels = "nothing"'))
    done = call(config, tmp_path / "out")
    assert done.exit_code == 2
    assert "nothing" in done.output
    assert not (tmp_path / "out").exists()
