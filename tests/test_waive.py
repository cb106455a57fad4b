"""Which checks are waived for which tile."""

import pytest

from spectralearth_build.config import load
from spectralearth_build.errors import ConfigError
from spectralearth_build.settings import to_toml
from spectralearth_build.waive import CHECKS, accepted, tiles_of

ONE, TWO = "DT0000001849_005", "DT0000001849_006"


def test_entries_are_lists_or_text(tmp_path):
    text = load(None, {"scan.accept": f"{ONE}=hole, {TWO}"})
    listed = load(None, {"scan.accept": [f"{ONE}=hole", TWO]})
    assert text == listed
    assert text.scan.accept == (f"{ONE}=hole", TWO)
    (tmp_path / "a.toml").write_text(to_toml(text), encoding="utf-8")
    assert load(tmp_path / "a.toml") == text
    assert load(None, {"scan.accept": ""}) == load()


@pytest.mark.parametrize("entry", ["DT1849_005", f"{ONE}=holes", f"{ONE}=", f"{ONE}_1", "=hole"])
def test_what_is_no_entry_is_refused(entry):
    with pytest.raises(ConfigError, match=r"scan\.accept: .*is not TILE or TILE=CHECK.*hole, size, corners"):
        load(None, {"scan.accept": entry})


def test_an_entry_without_a_check_waives_all():
    entries = (f"{ONE}=sun", f"{ONE}=hole", TWO)
    assert accepted(entries, ONE) == ("hole", "sun")
    assert accepted(entries, TWO) == tuple(CHECKS)
    assert accepted(entries, "DT0000001849_007") == ()
    assert tiles_of(entries) == {ONE, TWO}
