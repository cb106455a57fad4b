import io
import os
import re
import signal

import pytest
from rich.console import Console

from spectralearth_build import progress
from spectralearth_build.cluster import stop_on_signals
from spectralearth_build.errors import StoppedError
from spectralearth_build.progress import complain, say, set_quiet, telling, track


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


@pytest.mark.parametrize(("rate", "text"), [(0, "0.0/s"), (2.04, "2.0/s"), (0.1, "6.0/min")])
def test_rates(rate, text):
    assert progress._rate(rate) == text


def test_a_batch_log_has_the_time_on_each_line(capsys):
    with telling(True, None):
        say("cut: 1 of 2")
    say("later")
    first, second = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ cut: 1 of 2", first)
    assert second == "later"


@pytest.mark.parametrize("quiet", [False, True])
def test_a_file_gets_every_line_with_the_time(tmp_path, capsys, quiet):
    path = tmp_path / "log"
    path.write_text("before\n")
    set_quiet(quiet)
    with telling(False, path):
        say("hello")
        list(track("ab", "scan", 2))
        complain("Error: no")
    told = path.read_text().splitlines()
    assert told[0] == "before"
    assert [line.partition("Z ")[2] for line in told[1:]] == [
        "hello", "scan: 0 of 2", "scan: 2 of 2 in 0 s", "Error: no"
    ]  # fmt: skip
    assert capsys.readouterr() == (
        "" if quiet else "hello\nscan: 0 of 2\nscan: 2 of 2 in 0 s\n",
        "Error: no\n",
    )


def test_a_terminal_keeps_its_bar_and_the_file_gets_lines(tmp_path, monkeypatch):
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80)
    monkeypatch.setattr(progress._screen, "console", console)
    with telling(True, tmp_path / "log"):
        list(track("ab", "scan", 2))
    assert "2/2" in screen.getvalue()
    assert "scan: 0 of 2" not in screen.getvalue()
    assert "scan: 2 of 2 in 0 s" in (tmp_path / "log").read_text()
