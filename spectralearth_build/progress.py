"""Progress output: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO, TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from spectralearth_build.runlog.writing import current
from spectralearth_build.signals import raise_if_stopped
from spectralearth_build.texts import as_text, duration

T = TypeVar("T")

PLAIN_INTERVAL = 5.0
"""Seconds between two lines of progress when there is no terminal."""


@dataclass
class _Screen:
    quiet: bool = False
    busy: bool = False
    """Whether a bar is on the screen; a second, nested one is not shown."""
    console: Console | None = field(default=None)
    stamped: bool = False
    """Whether lines begin with the time when there is no terminal."""
    file: TextIO | None = None
    """A file that gets every line, with the time; None: no file."""

    def get(self) -> Console:
        """The console, created late so that it uses the current standard output."""
        return self.console or Console(highlight=False, markup=False, emoji=False, soft_wrap=True)


_screen = _Screen()


def set_quiet(quiet: bool) -> None:
    """Turn off, or on again, what the functions and commands print.

    Args:
        quiet: True to print nothing. Errors are raised all the same.

    Examples:
        ```python
        set_quiet(True)
        ```
    """
    _screen.quiet = quiet


def say(text: str) -> None:
    """Print ``text``, above the bar if there is one. Brackets are not markup, so any path can be printed.

    It is also recorded in the log of the run, if there is one.
    """
    _note(text)
    if not _screen.quiet:
        plain = _screen.stamped and not _screen.get().is_terminal
        _screen.get().print(f"{_now()} {as_text(text)}" if plain else as_text(text))


def complain(text: str) -> None:
    """Print ``text`` to standard error, also when the program is quiet."""
    _note(text)
    print(as_text(text), file=sys.stderr)


@contextmanager
def telling(stamped: bool, file: Path | None) -> Iterator[None]:
    """Tell a run's lines with the time, inside this context.

    Args:
        stamped: whether lines begin with the time when there is no terminal, such as in the log of a batch job.
        file: a file to which all lines are appended, also when nothing is printed; None: none.

    Raises:
        OSError: the file cannot be written.
    """
    with ExitStack() as stack:
        opened = stack.enter_context(file.open("a", encoding="utf-8")) if file else None
        _screen.stamped, _screen.file = stamped, opened
        try:
            yield
        finally:
            _screen.stamped, _screen.file = False, None


def _note(text: str) -> None:
    """Add a line to the log of the run and to the file of `telling`, whatever is printed."""
    if log := current():
        log.record("message", text=as_text(text))
    if _screen.file:
        _screen.file.write(f"{_now()} {as_text(text)}\n")
        _screen.file.flush()


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}Z"


def track(items: Iterable[T], label: str, total: int) -> Iterator[T]:
    """Yield ``items`` and show progress, rate and remaining time.

    Between two items, a signal may stop the run.

    Args:
        items: the items, one by one.
        label: a word or two, such as the stage.
        total: the number of items; nothing is shown if it is 0.

    Raises:
        StoppedError: a signal was received.
    """
    if _screen.busy or total == 0:
        shown: Iterator[T] = iter(items)
    elif _screen.quiet or not _screen.get().is_terminal:
        shown = _lines(items, label, total, say)
    else:
        shown = _bar(_lines(items, label, total, _note), label, total)
    for item in shown:
        raise_if_stopped()
        yield item


@contextmanager
def counting(label: str, total: int, shown: bool = True) -> Iterator[Callable[[int, str], None]]:
    """Yield a function that shows a count and a remark, for loops that count and stop by themselves.

    Args:
        label: a word or two.
        total: the final count.
        shown: whether to show anything; False in all but one of several processes.
    """
    if _screen.quiet or not shown:
        yield lambda done, remark: None
    elif _screen.get().is_terminal:
        console = _screen.get()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        _screen.console, _screen.busy = console, True
        try:
            with Progress(*columns, console=console) as bars:
                bar = bars.add_task(label, total=total)
                yield lambda done, remark: bars.update(
                    bar, completed=done, description=f"{label} {escape(remark)}"
                )
        finally:
            _screen.console, _screen.busy = None, False
    else:
        yield _Lines(label, total).show


@dataclass
class _Lines:
    """Occasional lines of progress, for `counting` without a terminal."""

    label: str
    total: int
    last: float = 0.0

    def show(self, done: int, remark: str) -> None:
        """Print a line if enough time has passed since the last one, or if this is the end."""
        if time.monotonic() - self.last >= PLAIN_INTERVAL or done == self.total:
            self.last = time.monotonic()
            say(f"{self.label}: {done} of {self.total}, {remark}")


class _Rate(ProgressColumn):
    """Items per second."""

    def render(self, task: Task) -> Text:
        """Draw the column for one bar."""
        return Text(_rate(task.speed or task.finished_speed or 0.0))


def _bar(items: Iterable[T], label: str, total: int) -> Iterator[T]:
    console = _screen.get()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
    )
    _screen.console, _screen.busy = console, True
    try:
        with Progress(*columns, console=console) as bars:
            bar = bars.add_task(label, total=total)
            for item in items:
                yield item
                bars.advance(bar)
    finally:
        _screen.console, _screen.busy = None, False


def _lines(items: Iterable[T], label: str, total: int, tell: Callable[[str], None]) -> Iterator[T]:
    began = shown = time.monotonic()
    tell(f"{label}: 0 of {total}")
    done = 0
    for item in items:
        yield item
        done += 1
        now = time.monotonic()
        if now - shown >= PLAIN_INTERVAL and done < total:
            shown, rate = now, done / (now - began)
            tell(f"{label}: {done} of {total}, {_rate(rate)}, {duration((total - done) / rate)} left")
    tell(f"{label}: {done} of {total} in {duration(time.monotonic() - began)}")


def _rate(per_second: float) -> str:
    return f"{per_second:.1f}/s" if per_second >= 1 or per_second == 0 else f"{60 * per_second:.1f}/min"
