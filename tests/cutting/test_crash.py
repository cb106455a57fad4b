"""Stopping before any write, fsync or rename: nothing partial can be opened, and a resume gives the same bytes.

A few points spread over a small run are tried; each of the 154 points of a whole run takes seconds.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from spectralearth_build.layout import ROOT
from tests.support.files import tree

POINTS = 8


class Crash(BaseException):
    """Nothing in the code can catch it."""


class Counter:
    """Counts the operations that change the disk, and crashes before one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, crash_at: int | None = None) -> None:
        self.count = 0
        for place, name in ((Path, "replace"), (Path, "write_bytes"), (Path, "unlink"), (os, "fsync")):
            monkeypatch.setattr(place, name, self._counted(getattr(place, name), crash_at))

    def _counted(self, real, crash_at):
        def counted(*args, **kwargs):
            self.count += 1
            if self.count == crash_at:
                raise Crash
            return real(*args, **kwargs)

        return counted


@pytest.fixture
def half_done(finished):
    """The patches of one tile are uncut, and the statistics are not those of the rest."""
    finished.forget(1)
    (finished.dataset / "statistics.json").write_text("{}")
    return finished


@pytest.mark.slow
@pytest.mark.parametrize("part", range(POINTS))
def test_crash_and_resume(finished_study, half_done, tmp_path, part):
    with pytest.MonkeyPatch.context() as patch:
        counter = Counter(patch)
        half_done.copy(tmp_path / "trial").run()
    crash_at = 1 + (counter.count - 1) * part // (POINTS - 1)
    with pytest.MonkeyPatch.context() as patch:
        Counter(patch, crash_at)
        with pytest.raises(Crash):
            half_done.run()
    expected = tree(finished_study.dataset)
    if (half_done.dataset / ROOT).exists():
        left = {name: value for name, value in tree(half_done.dataset).items() if ".partial" not in name}
        assert crash_at == 1 or left == expected
    half_done.run()
    assert tree(half_done.dataset) == expected
