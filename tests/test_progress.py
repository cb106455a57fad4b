import os
import signal

import pytest
from rich.console import Console

from spectralearth_build import progress
from spectralearth_build.cluster import stop_on_signals
from spectralearth_build.errors import StoppedError
from spectralearth_build.progress import say, set_quiet, track


@pytest.fixture
def clock(monkeypatch):
    """A clock that each step of the work sets forward by two seconds."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])

    def work(steps):
        for step in range(steps):
            now[0] += 2.0
            yield step

    return work


def test_plain_lines_come_first_now_and_then_and_last(clock, capsys):
    assert list(track(clock(10), "scan", 10)) == list(range(10))
    assert capsys.readouterr().out.splitlines() == [
        "scan: 0 of 10",
        "scan: 3 of 10, 30.0/min, 14 s left",
        "scan: 6 of 10, 30.0/min, 8 s left",
        "scan: 9 of 10, 30.0/min, 2 s left",
        "scan: 10 of 10 in 20 s",
    ]


def test_nothing_to_do_shows_nothing(capsys):
    assert list(track([], "scan", 0)) == []
    assert capsys.readouterr().out == ""


def test_quiet_says_nothing_and_still_does_the_work(capsys):
    set_quiet(True)
    try:
        say("hello")
        assert list(track("ab", "scan", 2)) == ["a", "b"]
    finally:
        set_quiet(False)
    assert capsys.readouterr().out == ""
    say("hello")
    assert capsys.readouterr().out == "hello\n"


def test_text_is_printed_as_it_is(capsys):
    text = "[red]5[/red] [/] :smile: " + "long " * 60
    say(text)
    assert capsys.readouterr().out == f"{text}\n"


def test_a_terminal_gets_a_bar_with_rate_and_lines_above_it(monkeypatch, capsys):
    terminal = Console(force_terminal=True, width=100, highlight=False, markup=False)
    monkeypatch.setattr(progress._screen, "console", terminal)
    for step in track(track(range(3), "within", 3), "cut", 3):
        if step == 1:
            say("a line above")
    out = capsys.readouterr().out
    assert "3/3" in out
    assert "/s" in out
    assert "a line above" in out
    assert "cut" in out
    assert "within" not in out  # a bar inside a bar stays silent


def test_each_step_is_a_safe_point(capsys):
    steps = track(range(5), "plan", 5)
    with stop_on_signals():
        next(steps)
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(StoppedError):
            next(steps)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (99, "99 s"), (100, "2 min"), (5940, "99 min"), (7500, "2 h 5 min")]
)
def test_durations(seconds, text):
    assert progress._duration(seconds) == text


@pytest.mark.parametrize(("rate", "text"), [(0, "0.0/s"), (2.04, "2.0/s"), (0.1, "6.0/min")])
def test_rates(rate, text):
    assert progress._rate(rate) == text
