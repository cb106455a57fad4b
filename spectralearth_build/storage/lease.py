"""A lock for one run at a time that needs no locks of a file system: a file or an object that its owner renews.

Whoever creates it has it. A run that finds it and cannot see its owner waits for signs of life, and takes it over if
there are none for `EXPIRY`. `lease_object` and `lease_file` say what such a lock is on an object store and in a folder.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, Protocol

from spectralearth_build.errors import StorageError, UsageError
from spectralearth_build.storage.process_identity import has_ended, presence

EXPIRY = timedelta(minutes=5)
"""How long a lock without signs of life stays that of its owner."""
JOIN = 10.0
"""Seconds to wait for a renewal that is under way."""


class Lease(Protocol):
    """A lock of one place. Its content is a document; what else it has is a version, which each renewal changes."""

    @property
    def where(self) -> str:
        """Return the place, for messages."""

    @property
    def remedy(self) -> str:
        """Return how to remove the lock of a run that is dead."""

    @property
    def pause(self) -> float:
        """Return the seconds between two renewals."""

    def create(self, document: bytes) -> bool:
        """Write the lock unless there is one, and return whether it was written."""

    def read(self) -> bytes:
        """Return the document.

        Raises:
            FileNotFoundError: There is no lock.
        """

    def version(self) -> Any:  # noqa: ANN401
        """Return the version; None: there is no lock."""

    def quiet(self, version: Any) -> str:  # noqa: ANN401
        """Return when there was a sign of life; empty: none for `EXPIRY`. This may wait for one."""

    def replace(self, version: Any, document: bytes) -> bool:  # noqa: ANN401
        """Replace a lock that still has this version, and return whether it had."""

    def renew(self, version: Any, document: bytes) -> bool:  # noqa: ANN401
        """Give a lock that has this version another one, and return whether it is still there."""

    def delete(self) -> None:
        """Remove the lock, if there is one."""

    def patient(self) -> Lease:
        """Return the same lock with little patience: the run may be ending because the place is out of reach."""


@contextmanager
def held(lease: Lease, token: str, mine: str = "", lost: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold a lock, and renew it.

    Args:
        lease: the lock.
        token: id of this run.
        mine: prefix, up to a dash, of the tokens of earlier runs that are known to have ended. Their locks are taken
            over at once.
        lost: called, from another thread, if another run has taken over.

    Raises:
        UsageError: Another run is active there.
    """
    _take(lease, token, mine)
    ended = threading.Event()
    keeper = threading.Thread(target=_keep, args=(lease, token, ended, lost), daemon=True, name="lease")
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        keeper.join(timeout=JOIN)
        with suppress(StorageError, OSError):  # if the place is out of reach, the lock expires
            brief = lease.patient()
            if holder(brief) == token:
                brief.delete()


def require(lease: Lease, token: str) -> None:
    """Check that the lock is still held, before something is committed.

    Raises:
        StorageError: The lock was lost.
    """
    if holder(lease) != token:
        raise StorageError(
            "Another run has taken over.",
            lease.where,
            "Let the other run finish. Nothing that was written is lost.",
        )


def require_free(lease: Lease) -> None:
    """Check that no run that lives holds the lock, without taking it.

    Raises:
        UsageError: Another run is active there.
    """
    version, who = lease.version(), owner(lease)
    if version is not None and (sign := sign_of_life(lease, version)):
        raise _occupied(lease, sign, who)


def holder(lease: Lease) -> str:
    """Return the token of the run that holds the lock; empty if none does."""
    return str(_content(lease).get("token", ""))


def break_lock(lease: Lease) -> bool:
    """Remove the lock, whoever holds it, and return whether there was one."""
    there = lease.version() is not None
    lease.delete()
    return there


def owner(lease: Lease) -> str:
    """Return process and host of the run that holds the lock, for messages; empty: not known."""
    found = _content(lease)
    if not {"process", "host"} <= found.keys():
        return ""
    return f"process {str(found['process'])[:20]} on {str(found['host'])[:60]!a}"


def sign_of_life(lease: Lease, version: Any, mine: str = "") -> str:  # noqa: ANN401
    """Return when the owner of a lock gave a sign of life; empty: it is dead. This may wait, see `Lease.quiet`."""
    found = _content(lease)
    dead = (mine and str(found.get("token", "")).startswith(f"{mine}-")) or has_ended(found)
    return "" if dead else lease.quiet(version)


def _take(lease: Lease, token: str, mine: str) -> None:
    """Acquire the lock: create it, or take it over from a run that has ended."""
    document = _document(token)
    if lease.create(document):
        return
    version, who = lease.version(), owner(lease)
    if version is None:  # given back just now
        taken = lease.create(document)
    elif sign := sign_of_life(lease, version, mine):
        raise _occupied(lease, sign, who)
    else:
        taken = lease.replace(version, document)
    if not taken:
        raise _occupied(lease, "just now", "")


def _keep(lease: Lease, token: str, ended: threading.Event, lost: Callable[[], None]) -> None:
    """Renew the lock periodically, until it is lost."""
    while not ended.wait(lease.pause):
        try:
            version = lease.version()
            if version is None or holder(lease) != token or not lease.renew(version, _document(token)):
                lost()
                return
        except (StorageError, OSError):
            continue


def _document(token: str) -> bytes:
    return json.dumps({"token": token, **presence(), "sign": os.urandom(4).hex()}).encode()


def _content(lease: Lease) -> dict[str, Any]:
    """Return the content of the lock; empty if it does not exist or is unreadable."""
    try:
        found = json.loads(lease.read())
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _occupied(lease: Lease, when: str, who: str) -> UsageError:
    return UsageError(
        f"Another run{f' ({who})' if who else ''} is at work there, {when}.",
        lease.where,
        f"Wait for it, or stop it. The lock of a dead run expires after {EXPIRY.seconds // 60} minutes. If "
        f"you are sure that it is dead, {lease.remedy}.",
    )
