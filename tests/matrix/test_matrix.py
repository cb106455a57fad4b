"""Every verb under every condition: the exit code of the docs, words that help, no bit of a dataset changed."""

import pytest

from tests.support.matrix.conditions import CONDITIONS
from tests.support.matrix.outcomes import OWED, by_default, cells, why_not
from tests.support.matrix.verbs import VERBS, commands

EVERY = list(cells())
MINE = [key for key in EVERY if not why_not(key)]


def param(key):
    marks = [] if by_default(key) else [pytest.mark.every_cell]
    marks += [pytest.mark.xfail(reason=OWED[key], strict=True)] if key in OWED else []
    return pytest.param(key, id=str(key), marks=marks)


@pytest.mark.parametrize("key", [param(key) for key in MINE])
def test_cell(played, key):
    faults = played(key)
    assert not faults, "\n\n".join(faults)


def test_every_verb_has_a_row():
    assert {verb.command for verb in VERBS.values()} == set(commands())


def test_every_verb_meets_every_condition():
    assert {(key.row, key.condition) for key in EVERY} == {(row, c) for row in VERBS for c in CONDITIONS}
