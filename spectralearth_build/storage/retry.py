"""Trying again, within bounds, and telling what went wrong without telling secrets.

Answers of stores may repeat credentials (signed URLs, key names), so nothing of an error's text is passed on but its
HTTP status and the store's own code for it.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import obstore.exceptions as refused

from spectralearth_build.errors import StorageError

T = TypeVar("T")

_STATUS = re.compile(r"status code: (\d{3})")
_KIND = re.compile(r"HttpError \{\s+kind: (\w+)")
_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_AGAIN = (408, 409, 425, 429)
"""4xx that may pass."""
ANSWERS = (FileNotFoundError, refused.AlreadyExistsError, refused.PreconditionError, refused.NotModifiedError)
"""Errors that are answers, for the caller to judge."""
_FINAL = (
    refused.PermissionDeniedError,
    refused.UnauthenticatedError,
    refused.NotSupportedError,
    refused.InvalidPathError,
    refused.UnknownConfigurationKeyError,
)


class SpoiltError(Exception):
    """What came or went is not what it should be; try again."""


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


def insist(what: str, action: Callable[[], T], patience: Patience | None = None) -> T:
    """Call ``action`` until it succeeds, answers, or patience ends.

    Args:
        what: the operation and its object, for messages.
        action: something that may be repeated.
        patience: bounds; None for `PATIENCE`.

    Raises:
        StorageError: it was refused, or did not work within the bounds.
        FileNotFoundError: there is no such object.
        obstore.exceptions.AlreadyExistsError, PreconditionError: a condition was not met.
    """
    patience = patience or PATIENCE
    end = time.monotonic() + patience.deadline
    pause, reason = patience.pause, ""
    for turn in range(1, patience.tries + 1):
        try:
            return action()
        except ANSWERS:
            raise
        except (refused.BaseError, SpoiltError, OSError, ValueError) as error:
            if getattr(error, "errno", None) is not None:
                raise  # the trouble is on this machine
            reason = describe(error)
            if not transient(error):
                raise StorageError(f"The store refuses ({reason}).", what) from None
        if turn == patience.tries or time.monotonic() + pause > end:
            break
        time.sleep(pause * random.uniform(0.5, 1))
        pause = min(2 * pause, patience.longest_pause)
    raise StorageError(f"It did not work, tried {turn} times (last: {reason}).", what) from None


def refused_by(error: BaseException, where: str) -> StorageError | None:
    """What an object store has to do with an error, without what it said; None if nothing.

    For calls that go to a store by way of another library.

    Args:
        error: what was raised; what it was raised from counts too.
        where: the place, for the message.
    """
    each: BaseException | None = error
    while each is not None:
        if isinstance(each, refused.BaseError):
            return StorageError(f"The store refuses ({describe(each)}).", where)
        each = each.__cause__ or each.__context__
    return None


def transient(error: Exception) -> bool:
    """Whether trying again may help."""
    if isinstance(error, _FINAL) or (
        isinstance(error, ValueError) and not isinstance(error, refused.BaseError)
    ):
        return False
    status = _STATUS.search(str(error))
    return status is None or not 400 <= int(status[1]) < 500 or int(status[1]) in _AGAIN


def describe(error: BaseException) -> str:
    """What went wrong, without any text that a store or a client made up."""
    if isinstance(error, SpoiltError):
        return str(error)
    text = str(error)
    found = [pattern.search(text) for pattern in (_STATUS, _CODE, _KIND)]
    words = [
        form.format(match[1]) for form, match in zip(("HTTP {}", "{}", "{}"), found, strict=True) if match
    ]
    return " ".join(words) or type(error).__name__
