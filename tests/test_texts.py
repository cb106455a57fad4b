"""How numbers, changes and remedies are said."""

import re
import tomllib
from pathlib import Path

import pytest

from spectralearth_build.errors import PlanChangedError
from spectralearth_build.texts import changes, counted, duration, install, listed

ROOT = Path(__file__).parents[1]


def test_numbers_agree_with_their_nouns():
    assert [counted(n, "tile") for n in (0, 1, 2, 1234)] == ["0 tiles", "1 tile", "2 tiles", "1,234 tiles"]
    assert [counted(n, "patch is", "patches are") for n in (1, 2)] == ["1 patch is", "2 patches are"]


def test_changes_are_lines_that_one_can_read():
    old = {"plan": {"value": "patches", "dates": [1, 2]}, "same": {"a": 1}, "gone": True}
    new = {"plan": {"value": "pairs", "dates": [1, 3, 4]}, "same": {"a": 1}, "long": "x" * 500}
    assert changes(old, new) == [
        "gone: was true, is not set",
        f'long: was not set, is "{"x" * 76}...',
        "plan.dates.1: was 2, is 3",
        "plan.dates.2: was not set, is 4",
        'plan.value: was "patches", is "pairs"',
    ]
    assert changes(old, old) == []


def test_lists_stand_on_lines_of_their_own_and_end():
    assert (
        str(PlanChangedError(f"It differs:{listed(['a', 'b'])}", "d", "Do it."))
        == "d: It differs:\n  a\n  b\nDo it."
    )
    assert listed([str(n) for n in range(20)], 2) == "\n  0\n  1\n  and 18 more\n"


@pytest.mark.parametrize("extra", ["train", "train,bench", "onnx"])
def test_what_is_to_be_installed_is_there(extra):
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert f"'.[{extra}]'" in install(extra)
    assert set(extra.split(",")) <= known.keys()


def test_nothing_tells_to_install_from_a_registry_that_does_not_have_it():
    pages = [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "spectralearth_build").rglob("*.py"),
    ]
    assert len(pages) > 300
    for page in pages:
        assert not re.search(r"pip install\W+spectralearth", page.read_text(encoding="utf-8")), page


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (99, "99 s"), (100, "2 min"), (5940, "99 min"), (7500, "2 h 5 min")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text
