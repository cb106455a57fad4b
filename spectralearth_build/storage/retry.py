"""Retries with limits. Of a store's messages, only what `trouble` lets through is passed on."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

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
    tries = _Tries(what, patience or PATIENCE, answers)
    while True:
        try:
            result = action()
        except _EXPECTED as error:
            outcome = tries.judge(error)
        else:
            tries.met()
            return result
        time.sleep(tries.pause_after(outcome))


async def insist_async(what: str, action: Callable[[], Awaitable[T]], patience: Patience | None = None) -> T:
    """Await ``action()`` until it succeeds, gives a valid response, or the limits are reached; see `insist`."""
    tries = _Tries(what, patience or PATIENCE, ANSWERS)
    while True:
        try:
            result = await action()
        except _EXPECTED as error:
            outcome = tries.judge(error)
        else:
            tries.met()
            return result
        await asyncio.sleep(tries.pause_after(outcome))


_EXPECTED = (refused.BaseError, SpoiltError, OSError, ValueError)
"""Errors of requests."""


class _Tries:
    """The tries of one operation."""

    def __init__(self, what: str, patience: Patience, answers: tuple[type[Exception], ...]) -> None:
        self._what, self._patience, self._answers = what, patience, answers
        self._bucket = "/".join(what.split("/")[:3])
        self._end = time.monotonic() + patience.deadline
        self._pause, self._turn = patience.pause, 0

    def met(self) -> None:
        """Note that the bucket has responded."""
        _met.add(self._bucket)

    def judge(self, error: Exception) -> Exception | Trouble:
        """Return what a failed try means: a valid response without the store's text, or trouble.

        Raises:
            Exception: The error itself, if it is on this machine.
        """
        if isinstance(error, self._answers):
            self.met()
            return _without_words(error, self._what)
        if getattr(error, "errno", None) is not None:
            raise error
        return trouble_of(error, self._what, self._bucket in _met)

    def pause_after(self, outcome: Exception | Trouble) -> float:
        """Return the seconds to wait before the next try.

        Raises:
            Exception: There is none: ``outcome`` itself, or a `StorageError`.
        """
        if isinstance(outcome, Exception):
            raise outcome
        if outcome.tries == 1:
            raise outcome.error(self._what)
        self._turn += 1
        most = min(self._patience.tries, outcome.tries or self._patience.tries)
        if self._turn >= most or time.monotonic() + self._pause > self._end:
            raise StorageError(
                f"The operation failed {self._turn} times (last: {outcome.words}).",
                self._what,
                outcome.remedy,
            )
        pause = self._pause * random.uniform(0.5, 1)
        self._pause = min(2 * self._pause, self._patience.longest_pause)
        return pause


def _without_words(error: Exception, what: str) -> Exception:
    if isinstance(error, FileNotFoundError):
        return FileNotFoundError(f"{what}: The object does not exist.")
    kind = next(kind for kind in UNMET if isinstance(error, kind))
    return kind(f"{what}: A condition was not met.")
