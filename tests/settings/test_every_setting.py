import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectralearth_build.errors import ConfigError
from spectralearth_build.settings import layered, template
from spectralearth_build.settings.reading import read
from tests.support.settings_leaves import ALL, IDS, NEEDED, leaves, value_at

NUMBERS = ("integer", "number")
UNBOUNDED: set[str] = set()
"""Numbers for which every value makes sense."""

LISTS_OF_ANY_TEXTS = ("run.slurm.directives", "run.slurm.prologue")


def wrong_values(schema):
    """Values that the schema of a setting does not allow, as a strategy."""
    kind = schema.get("type")
    far = st.floats(allow_nan=False, allow_infinity=False, width=32)
    if "enum" in schema:
        return st.text(max_size=8).filter(lambda text: text.strip() not in schema["enum"])
    if kind == "boolean":
        return st.sampled_from(["maybe", "2", "", "[1]"])
    if kind in NUMBERS:
        words = st.sampled_from(["many", "nan", "inf", "-inf", "1,5", "[1]", "", "1 2"])
        low = schema.get("minimum", schema.get("exclusiveMinimum"))
        high = schema.get("maximum", schema.get("exclusiveMaximum"))
        outside = [words]
        if low is not None:
            outside.append(far.filter(lambda x: x < low).map(str))
            outside.append(st.integers(max_value=math.ceil(low) - 1).map(str))
        if "exclusiveMinimum" in schema:
            outside.append(st.just(str(low)))
        if high is not None:
            outside.append(far.filter(lambda x: x > high).map(str))
        if "exclusiveMaximum" in schema:
            outside.append(st.just(str(high)))
        return st.one_of(outside)
    if schema.get("title") in ("Directives", "Prologue"):  # any lines
        return st.sampled_from(["nonsense", "{a = 1}", '["two\\nlines"]', "[[]]"])
    if kind == "array" and schema.get("items") == {"type": "string"}:  # tiles whose checks are waived
        return st.sampled_from(["nonsense", "DT0000001849_005=sea", '["DT0000001849_005", "x"]', "{a = 1}"])
    if kind == "array":
        return st.sampled_from(["3", "many", "[]", "[0.5]", "[1, 0.5]", "[-1, 1]", "[nan, 1]", '["a", "b"]'])
    return st.nothing()


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "key", "schema"), ALL, ids=IDS)
@settings(max_examples=12)
@given(data=st.data())
def test_an_impossible_value_is_refused_by_its_name(kind, key, schema, data):
    if schema.get("type") == "string" and "enum" not in schema:
        value = data.draw(
            st.sampled_from(["[1, 2]", "{a = 1}"])
        )  # a text may be anything but a list or a table
    elif "type" not in schema:  # a day, or none
        value = data.draw(st.sampled_from(["2023-02-30", "soon", "[1]"]))
    else:
        wrong = wrong_values(schema)
        value = data.draw(wrong.filter(lambda text: text[0] != "[") if key in LISTS_OF_ANY_TEXTS else wrong)
    with pytest.raises(ConfigError) as caught:
        layered(kind, dict(NEEDED[kind]), [f"{key}={value}"])
    assert key in caught.value.what


@pytest.mark.slow
@pytest.mark.parametrize("kind", NEEDED, ids=lambda kind: kind.__name__)
@settings(max_examples=20)
@given(name=st.from_regex(r"[a-z_]{1,12}", fullmatch=True))
def test_an_unknown_setting_is_refused_by_its_name(kind, name):
    sections = {key.rpartition(".")[0] for key, _ in leaves(kind)}
    for section in sections:
        key = f"{section}.{name}" if section else name
        if any(f"{known}.".startswith(f"{key}.") for known, _ in leaves(kind)):
            continue
        with pytest.raises(ConfigError, match=f"unknown setting '{key}'"):
            layered(kind, dict(NEEDED[kind]), [f"{key}=1"])


def test_every_number_has_a_lower_bound():
    loose = {
        f"{kind.__name__}.{key}"
        for kind, key, schema in ALL
        if schema.get("type") in NUMBERS and not {"minimum", "exclusiveMinimum"} & schema.keys()
    }
    assert loose == UNBOUNDED


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "key", "schema"), ALL, ids=IDS)
def test_setting_one_key_leaves_every_other_as_it_was(kind, key, schema):
    plain = layered(kind, dict(NEEDED[kind]))
    for turn in range(3):
        try:
            changed = layered(kind, dict(NEEDED[kind]), {key: another(value_at(plain, key), schema, turn)})
            break
        except ConfigError:  # beyond a bound, or not with the others: the next one is tried
            continue
    else:
        pytest.skip("no other value goes with the rest")
    assert value_at(changed, key) != value_at(plain, key)
    for other, _ in leaves(kind):
        # The published code of MoCo, which is trained by default, is also trained in another way.
        if other != key and not (key == "moco.official" and other.startswith("train.")):
            assert value_at(changed, other) == value_at(plain, other)


def another(value, schema, turn):
    """Another value of the same kind, near the default; a few are tried in turn."""
    if "enum" in schema:
        rest = [choice for choice in schema["enum"] if choice != value]
        return rest[-turn % len(rest)]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return (value * 2, value // 2, value + 4)[turn] if value else 8
    if isinstance(value, float):
        return value * (1.25, 0.75, 0.5)[turn] if value else 0.25
    if isinstance(value, tuple):
        return [value[0] * 0.9, value[1]] if value else ["DT0000001849_005=hole"]
    return "2023-01-31" if value is None else "d * 2" if value == "patches" else "multilabel"


def test_a_file_and_single_overrides_meet_key_by_key(tmp_path):
    from spectralearth_build.pretrain.training_config import PretrainConfig

    path = tmp_path / "run.toml"
    path.write_text('objective = "dino"\n[dino.views]\nflip = 0.25\n[dino.local]\nsize = 32\n')
    config = read(PretrainConfig, path, ["dino.local.blur=.1", "mae.views.size=64", "moco.views.size=96"])
    assert (config.dino.views.scale, config.dino.views.flip, config.dino.views.blur) == (
        (0.05, 1.0),
        0.25,
        0.5,
    )
    assert (config.dino.local.scale, config.dino.local.size, config.dino.local.blur) == ((0.05, 0.4), 32, 0.1)
    assert (config.mae.views.scale, config.mae.views.size) == ((0.4, 1.0), 64)
    assert (config.moco.views.blur, config.moco.views.size) == (0.5, 96)


@pytest.mark.parametrize("kind", NEEDED, ids=lambda kind: kind.__name__)
def test_the_template_is_what_it_describes(kind, tmp_path):
    plain = layered(kind, dict(NEEDED[kind]))
    path = tmp_path / "template.toml"
    path.write_text(template(plain, "verb"))
    assert read(kind, path) == plain


def test_settings_need_no_torch():
    import subprocess
    import sys

    code = (
        "import sys; from spectralearth_build.downstream.grid_config import GridConfig;"
        "from spectralearth_build.evaluate.task_config import EvaluateConfig;"
        "from spectralearth_build.pretrain.training_config import PretrainConfig;"
        "PretrainConfig(); print('torch' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False"
