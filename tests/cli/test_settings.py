import tomllib

from spectralearth_build.config import Config
from spectralearth_build.settings import template


def test_template_prints_only_the_template(call):
    done = call("config", "template")
    assert done.exit_code == 0
    assert done.output == template(Config(), "build")


def test_show_prints_file_and_options_together(call, tmp_path):
    path = tmp_path / "a.toml"
    path.write_text('[plan]\nvalue = "pairs"\nmin_dates = 2\n[run]\nworkers = 7\n', encoding="utf-8")
    options = ["--set", "plan.min_dates=3", "--set", "quality.max_cloud = 0.25", "--workers", 2]
    done = call("config", "show", "--config", path, *options, "--scheduler", "tcp://h:1")
    config = Config.model_validate(tomllib.loads(done.output))
    assert config.plan.value == "pairs"
    assert config.plan.min_dates == 3
    assert config.quality.max_cloud == 0.25
    assert (config.run.workers, config.run.scheduler) == (2, "tcp://h:1")


def test_wrong_settings_are_named_in_one_line(call, tmp_path):
    done = call("config", "show", "--set", "plan.vale=pairs", "--config", tmp_path / "absent.toml")
    assert done.exit_code == 2
    assert "absent.toml: Not a readable TOML file" in done.output
    done = call("config", "show", "--set", "plan.vale=pairs")
    assert done.exit_code == 2
    assert done.output.startswith("Error: unknown setting 'plan.vale' (known here: strategy, value,")
    assert len(done.output.splitlines()) == 1
    done = call("config", "show", "--set", "plan.value")
    assert done.exit_code == 2
    assert "expected section.key=value, got 'plan.value'" in done.output
