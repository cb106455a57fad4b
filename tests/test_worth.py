"""Values of depth: presets with closed forms, formulas against Python's own arithmetic."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralearth_build import config
from spectralearth_build.errors import ConfigError
from spectralearth_build.worth import worth_of


def test_presets():
    assert worth_of("patches", 1, 4).tolist() == [0, 1, 2, 3, 4]
    assert worth_of("series", 1, 3).tolist() == [0, 1, 10_002, 10_003]
    assert worth_of("pairs", 2, 4).tolist() == [0, 0, 10_002, 30_003, 60_004]


@pytest.mark.parametrize(
    ("formula", "python"),
    [
        ("min(d, 5)", lambda d: min(d, 5)),
        ("d * (d >= 3)", lambda d: d * (d >= 3)),
        ("d ** 2 - d", lambda d: d**2 - d),
        ("max(d - 1, 0) // 2 + 7", lambda d: max(d - 1, 0) // 2 + 7),
    ],
)
def test_formulas_with_whole_values(formula, python):
    assert worth_of(formula, 1, 12).tolist() == [0, *(python(d) for d in range(1, 13))]


@given(st.integers(2, 40))
def test_fractions_keep_their_ratios(depth):
    worth = worth_of("sqrt(d) + log(d + 1)", 1, depth)
    expected = [math.sqrt(d) + math.log(d + 1) for d in range(1, depth + 1)]
    for found, exact in zip(worth[1:], expected, strict=True):
        assert found / worth[-1] == pytest.approx(exact / expected[-1], rel=1e-8)


def test_small_fractions_stay_worth_something():
    assert (worth_of("d ** 8 / 3", 1, 30)[1:] > 0).all()


@pytest.mark.parametrize(
    "formula",
    ["", "e", "d +", "__import__('os')", "d.real", "[d]", "lambda: d", "-d", "1 / (d - 3)", "d ** 99",
     "d ** d ** d", "open(d)", "'d'", "min(d, key=d)", "(" * 500 + "d" + ")" * 500, "1e300", "d and d", "log(d - 1)"],
)  # fmt: skip
def test_anything_else_is_refused_with_the_name_of_the_setting(formula):
    with pytest.raises(ConfigError, match=r"plan\.value"):
        config.load(None, {"plan.value": formula})
