"""Every setting of the tables of a comparison's file: impossible and unknown ones are refused by their names."""

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectralearth_build.downstream.grid_config import GridConfig
from spectralearth_build.errors import ConfigError
from spectralearth_build.settings import layered
from tests.settings.test_every_setting import NUMBERS, wrong_values
from tests.support.downstream_files import RIDGE
from tests.support.settings_leaves import leaves, resolved

TABLES = ("tasks", "encoders", "grid")


def settings_of_tables():
    """(table, dotted key, JSON schema) of each setting in a list of tables that is a number or a choice."""
    for table in TABLES:
        (entry,) = {
            kind for kind in GridConfig.model_fields[table].annotation.__args__ if kind is not Ellipsis
        }
        for key, schema in leaves(entry):
            if schema.get("type") in NUMBERS or "enum" in schema:
                yield table, key, resolved(schema, {})


ALL = list(settings_of_tables())


def document():
    return tomllib.loads(RIDGE.format(dataset="d"))


def with_value(table, key, value):
    """The file's content with one value changed."""
    found = document()
    place = found[table][0]
    *sections, name = key.split(".")
    for section in sections:
        place = place.setdefault(section, {})
    place[name] = value
    return found


def typed(text):
    """The value as a TOML file would give it."""
    try:
        return float(text)
    except ValueError:
        return text


def test_the_file_is_sound_without_a_change():
    assert layered(GridConfig, document()).tasks[0].name == "ridge"
    assert {table for table, _, _ in ALL} == {"tasks", "encoders"}


@pytest.mark.slow
@pytest.mark.parametrize(("table", "key", "schema"), ALL, ids=[f"{table}-{key}" for table, key, _ in ALL])
@settings(max_examples=12)
@given(data=st.data())
def test_an_impossible_value_is_refused_by_its_name(table, key, schema, data):
    value = typed(data.draw(wrong_values(schema)))
    with pytest.raises(ConfigError) as caught:
        layered(GridConfig, with_value(table, key, value))
    assert table in caught.value.what
    assert key.rpartition(".")[2] in caught.value.what


@pytest.mark.slow
@pytest.mark.parametrize("table", TABLES)
@settings(max_examples=20)
@given(name=st.from_regex(r"zz[a-z_]{1,12}", fullmatch=True))
def test_an_unknown_key_is_refused_by_its_name(table, name):
    with pytest.raises(ConfigError, match=name):
        layered(GridConfig, with_value(table, name, 1))
