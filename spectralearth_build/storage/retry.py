"""Retries with limits. Of a store's messages, only what `trouble` lets through is passed on."""

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
"""Errors that are valid responses, which the caller handles."""
_met: set[str] = set()
"""Buckets that have responded to this process."""


@dataclass(frozen=True)
class Patience:
    """Limits of retries."""

    tries: int = 8
    """Maximum number of tries."""
    pause: float = 0.5
    """Seconds before the second try. Doubled for each further try, and randomly shortened by up to half."""
    longest_pause: float = 20.0
    """Maximum number of seconds between two tries."""
    deadline: float = 600.0
    """Number of seconds after which no further try is made."""


PATIENCE = Patience()


def insist(
    what: str,
    action: Callable[[], T],
    patience: Patience | None = None,
    answers: tuple[type[Exception], ...] = ANSWERS,
) -> T:
    """Call ``action`` until it succeeds, gives a valid response, or the limits are reached.

    Errors are raised outside the exception handler, so that not even a traceback repeats the text of the store.

    Args:
        what: the URL of the object or prefix, for messages.
        action: an operation that can be repeated.
        patience: limits; None for `PATIENCE`.
        answers: errors that the caller handles.

    Raises:
        StorageError: The operation was refused, or did not succeed within the limits.
        FileNotFoundError: The object does not exist.
        obstore.exceptions.AlreadyExistsError, PreconditionError: A condition was not met.
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
                f"The operation failed {turn} times (last: {outcome.words}).", what, outcome.remedy
            )
        time.sleep(pause * random.uniform(0.5, 1))
        pause = min(2 * pause, patience.longest_pause)


@dataclass(frozen=True)
class _Done(Generic[T]):
    value: T


def _tried(
    what: str, action: Callable[[], T], answers: tuple[type[Exception], ...]
) -> _Done[T] | Exception | Trouble:
    """Try once. Returns the result, a valid response without the store's text, or the error."""
    bucket = "/".join(what.split("/")[:3])
    try:
        result = action()
    except answers as error:
        _met.add(bucket)
        return _without_words(error, what)
    except (refused.BaseError, SpoiltError, OSError, ValueError) as error:
        if getattr(error, "errno", None) is not None:
            raise  # the error is on this machine
        return trouble_of(error, what, bucket in _met)
    _met.add(bucket)
    return _Done(result)


def _without_words(error: Exception, what: str) -> Exception:
    if isinstance(error, FileNotFoundError):
        return FileNotFoundError(f"{what}: The object does not exist.")
    kind = next(kind for kind in UNMET if isinstance(error, kind))
    return kind(f"{what}: A condition was not met.")
