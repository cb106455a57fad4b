"""Trying again, within bounds; of what a store says only what `trouble` lets through is passed on."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import obstore.exceptions as refused

from spectralearth_build.errors import StorageError
from spectralearth_build.storage.trouble import SpoiltError, Trouble, trouble_of

T = TypeVar("T")

ABSENT = (FileNotFoundError,)
UNMET = (refused.AlreadyExistsError, refused.PreconditionError, refused.NotModifiedError)
ANSWERS = (*ABSENT, *UNMET)
"""Errors that are answers, for the caller to judge."""
_met: set[str] = set()
"""Buckets that have answered this process."""


@dataclass(frozen=True)
class Patience:
    """How long to insist."""

    tries: int = 8
    """How often an operation is tried."""
    pause: float = 0.5
    """Seconds before the second try; doubled each time, and shortened at random by up to half."""
    longest_pause: float = 20.0
    """Seconds between two tries at most."""
    deadline: float = 600.0
    """Seconds after which no further try is made."""


PATIENCE = Patience()


def insist(
    what: str,
    action: Callable[[], T],
    patience: Patience | None = None,
    answers: tuple[type[Exception], ...] = ANSWERS,
) -> T:
    """Call ``action`` until it succeeds, answers, or patience ends.

    Errors are raised anew, outside of the handling of what the store said: not even a traceback repeats that.

    Args:
        what: the URL of the object or prefix, for messages.
        action: something that may be repeated.
        patience: bounds; None for `PATIENCE`.
        answers: errors that the caller judges.

    Raises:
        StorageError: it was refused, or did not work within the bounds.
        FileNotFoundError: there is no such object.
        obstore.exceptions.AlreadyExistsError, PreconditionError: a condition was not met.
    """
    patience = patience or PATIENCE
    end = time.monotonic() + patience.deadline
    pause, turn = patience.pause, 0
    while True:
        turn += 1
        outcome = _tried(what, action, answers)
        if isinstance(outcome, _Done):
            return outcome.value
        if isinstance(outcome, Exception):
            raise outcome
        if outcome.tries == 1:
            raise outcome.error(what)
        if turn >= min(patience.tries, outcome.tries or patience.tries) or time.monotonic() + pause > end:
            raise StorageError(
                f"It failed, tried {turn} times (last: {outcome.words}).", what, outcome.remedy
            )
        time.sleep(pause * random.uniform(0.5, 1))
        pause = min(2 * pause, patience.longest_pause)


@dataclass(frozen=True)
class _Done(Generic[T]):
    value: T


def _tried(
    what: str, action: Callable[[], T], answers: tuple[type[Exception], ...]
) -> _Done[T] | Exception | Trouble:
    """One try: its result, an answer without the store's words, or what went wrong."""
    bucket = "/".join(what.split("/")[:3])
    try:
        result = action()
    except answers as error:
        _met.add(bucket)
        return _without_words(error, what)
    except (refused.BaseError, SpoiltError, OSError, ValueError) as error:
        if getattr(error, "errno", None) is not None:
            raise  # the trouble is on this machine
        return trouble_of(error, what, bucket in _met)
    _met.add(bucket)
    return _Done(result)


def _without_words(error: Exception, what: str) -> Exception:
    if isinstance(error, FileNotFoundError):
        return FileNotFoundError(f"{what}: There is no such object.")
    kind = next(kind for kind in UNMET if isinstance(error, kind))
    return kind(f"{what}: A condition was not met.")
