"""Meaning of an error in reading a file: the file is damaged, cannot be checked on this machine, or neither."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator

from spectralearth_build.checking.against import kind_of
from spectralearth_build.checking.damage import NOT_CHECKED, Damage
from spectralearth_build.cluster import Failure
from spectralearth_build.errors import (
    BuildError,
    DamagedError,
    MemoryLimitError,
    ProductError,
    TimeLimitError,
    UnreadableFileError,
    UsageError,
    WorkerLostError,
    printable,
)
from spectralearth_build.faults import UNREAD, fault_of, number_of

_DENIED = (errno.EACCES, errno.EPERM)
_ATTEMPTS = {
    kind.__name__
    for kind in (MemoryLimitError, TimeLimitError, WorkerLostError, MemoryError, UnreadableFileError)
}


def examined(
    kind: str, path: str, check: Callable[[], Iterable[Damage]], known: bool = False
) -> Iterator[Damage]:
    """Yield the findings of a check. An error that ends it is a finding too.

    Args:
        kind: kind of damage that an error means.
        path: the file of the dataset.
        check: the check to run.
        known: whether the file is known to be damaged. If so, lack of memory is due to invalid sizes in it.

    Raises:
        BuildError: The cause is the machine (see `faults.fault_of`), a signal or an object store.
    """
    try:
        yield from check()
    except Exception as error:
        yield finding(kind, path, error, known)


def finding(
    kind: str, path: str, error: Exception, known: bool = False, patches: tuple[str, ...] = ()
) -> Damage:
    """Return the damage that an error means, with the affected patches; see `examined`."""
    if isinstance(error, BuildError) and not isinstance(error, DamagedError | ProductError | UsageError):
        raise error
    number = number_of(error)
    if number is not None and number[0] in UNREAD:
        return unread(path, os.strerror(number[0]))
    if denied := _denied(error):
        return unread(path, os.strerror(denied))
    starved = number is not None and number[0] == errno.ENOMEM
    if not (starved and known) and (fault := fault_of(error)):
        raise fault from error
    if isinstance(error, BuildError):
        return Damage(kind, path, error.what, patches)
    return Damage(
        kind, path, printable(f"The file cannot be read: {type(error).__name__}: {error}."), patches
    )


def unread(path: str, why: str) -> Damage:
    """Return the finding for a file that this machine cannot read."""
    advice = "Check the disk, the mount and the permissions, then run `verify` again."
    return Damage(NOT_CHECKED, path, f"The file cannot be checked on this machine: {why}. {advice}")


def of_failure(key: str, failure: Failure) -> Damage:
    """Return the damage for a check that failed."""
    kind = NOT_CHECKED if failure.error_class in _ATTEMPTS else kind_of(failure.error_class, "CheckFailed")
    return Damage(kind, key, f"{failure.error_class}: {failure.message}")


def _denied(error: BaseException) -> int:
    """Return the errno of a permission error among an error and its causes; 0: none."""
    each: BaseException | None = error
    while each is not None:
        if isinstance(each, OSError) and each.errno in _DENIED:
            return each.errno
        each = each.__cause__
    return 0
