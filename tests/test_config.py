import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from spectralearth_build import settings, waive
from spectralearth_build.config import Config, ScanConfig, SlurmConfig, load
from spectralearth_build.errors import ConfigError
from spectralearth_build.settings import to_toml

FIELDS = [
    (section, name, field)
    for section, model in Config.model_fields.items()
    for name, field in model.annotation.model_fields.items()
]


def test_defaults():
    assert load() == Config()
    assert load().store.shard_rows == 16
    assert load().plan.strategy == "shelves"


def test_the_template_parses_back_to_the_defaults(tmp_path):
    (tmp_path / "a.toml").write_text(settings.template(Config(), "build"), encoding="utf-8")
    assert load(tmp_path / "a.toml") == Config()


def test_the_template_names_and_describes_every_field():
    tree = tomllib.loads(settings.template(Config(), "build"))
    left_out = {f[:2] for f in FIELDS if f[2].default is None}
    assert {(section, name) for section in tree for name in tree[section]} == {
        f[:2] for f in FIELDS
    } - left_out
    assert all(f"# {name} =" in settings.template(Config(), "build") for _, name in left_out)
    for _, _, field in FIELDS:
        described = field.annotation.__doc__ if field.annotation is SlurmConfig else field.description
        assert described
        assert " ".join(described.split()).rstrip(".") in settings.template(Config(), "build")


def test_the_text_of_accept_names_every_check():
    named = ScanConfig.model_fields["accept"].description.split("Checks: ")[1].split(";")[0]
    assert " ".join(named.split()).split(", ") == list(waive.CHECKS)


def test_a_file_and_then_overrides(tmp_path):
    (tmp_path / "a.toml").write_text('[plan]\nvalue = "pairs"\nmin_dates = 2\n', encoding="utf-8")
    config = load(tmp_path / "a.toml", {"plan.min_dates": "3", "run.scheduler": "tcp://10.0.0.1:8786"})
    assert (config.plan.value, config.plan.min_dates) == ("pairs", 3)
    assert config.run.scheduler == "tcp://10.0.0.1:8786"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"plan.depth": "3"}, r"unknown setting 'plan.depth' \(known here: strategy, value, min_dates"),
        ({"planning.value": "x"}, r"unknown setting 'planning' \(known here: scan, quality, plan"),
        ({"value": "x"}, r"unknown setting 'value' \(known here: scan, quality"),
        ({"plan.": "x"}, r"section.key, got 'plan\.'"),
        ({"plan.value": "most"}, "plan.value: .*patches.*series.*pairs"),
        ({"quality.max_cloud": "1.5"}, "quality.max_cloud: .*less than or equal to 1"),
        ({"store.shard_rows": "many"}, "store.shard_rows: .*integer"),
        ({"run.workers": "-1", "plan.min_dates": "0"}, "plan.min_dates.*run.workers"),
    ],
)
def test_what_is_wrong_is_named(overrides, message):
    with pytest.raises(ConfigError, match=message):
        load(None, overrides)


def test_unknown_keys_of_a_file_are_named_with_the_file(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text("[store]\nshard_row = 3\n[quality]\nclouds = 1\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(path)
    for part in (str(path), "'store.shard_row'", "'quality.clouds'", "config template"):
        assert part in str(caught.value)


@pytest.mark.parametrize("content", [b"[plan\n", b"\xff\xfe", None])
def test_files_that_are_no_toml_are_refused(tmp_path, content):
    path = tmp_path / "a.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"a\.toml: Not a readable TOML file"):
        load(path)


def test_settings_never_change():
    with pytest.raises(ValidationError):
        load().plan.min_dates = 5


TEXTS = st.text(st.characters(blacklist_categories=["Cs", "Cc"])) | st.sampled_from(
    ["3", "true", 'a"b', "a\\b"]
)


@given(st.floats(0, 1), st.integers(1, 1024), st.sampled_from(["spectral", "fast", "portable"]), TEXTS)
def test_any_settings_survive_overrides_and_toml(cloud, rows, codec, manifest):
    overrides = {"quality.max_cloud": cloud, "store.shard_rows": rows, "store.codec": codec}
    config = load(None, {**{key: str(value) for key, value in overrides.items()}, "scan.manifest": manifest})
    assert config.quality.max_cloud == cloud
    assert config.store.shard_rows == rows
    assert config.store.codec == codec
    assert config.scan.manifest == manifest
    assert Config.model_validate(tomllib.loads(to_toml(config))) == config
