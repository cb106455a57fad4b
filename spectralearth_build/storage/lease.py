"""A lock for one run at a time on a location of an object store, and a check that the store supports it.

The lock is an object made by conditional create. Its owner renews it. A lock that was not renewed for `EXPIRY` may be
taken over. All times come from the store, so clocks need not agree.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from spectralearth_build.errors import StorageError, UsageError
from spectralearth_build.layout import LOCK, PROBE
from spectralearth_build.storage.client import Client
from spectralearth_build.storage.process_identity import has_ended, presence
from spectralearth_build.storage.retry import Patience

EXPIRY = timedelta(minutes=5)
RENEW = 60.0
"""Seconds between two renewals."""
BRIEF = Patience(tries=3, deadline=10)
"""Limits for releasing the lock: the run may be ending because the store is unreachable."""


@contextmanager
def leased(client: Client, token: str, mine: str = "") -> Iterator[None]:
    """Hold the lock of a location.

    Args:
        client: a client of the location.
        token: id of this run.
        mine: prefix, up to a dash, of the tokens of earlier runs that are known to have ended. Their locks are taken
            over at once.

    Raises:
        UsageError: Another run is active there.
        StorageError: The store does not support conditional writes, or refuses access.
    """
    now = prove(client, token)
    _take(client, token, mine, now)
    ended = threading.Event()
    keeper = threading.Thread(target=_keep, args=(client, token, ended), daemon=True, name="lease")
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        keeper.join(timeout=BRIEF.deadline)
        with suppress(StorageError):  # if the store is unreachable, the lock expires
            brief = replace(client, patience=BRIEF)
            if holder(brief) == token:
                brief.delete(LOCK)


def prove(client: Client, token: str) -> datetime:
    """Check that the store supports conditional writes, and return its time.

    Raises:
        StorageError: The store does not.
    """
    client.require_sense()
    name = f"{PROBE}{token}"
    try:
        first = client.create(name, b"first")
        if first is None or client.create(name, b"second") is not None or client.read(name) != b"first":
            raise _dishonoured(client, "create")
        replaced = client.swap(first, b"replaced")
        if replaced is None or client.swap(first, b"again") is not None or client.read(name) != b"replaced":
            raise _dishonoured(client, "replace")
        now = client.modified(name)
        assert now is not None
        return now
    finally:
        client.delete(name)


def require(client: Client, token: str) -> None:
    """Check that the lock is still held, before something is committed.

    Raises:
        StorageError: The lock was lost.
    """
    if holder(client) != token:
        raise StorageError(
            "Another run has taken over.",
            str(client.remote),
            "Let the other run finish. Nothing that was written is lost.",
        )


def holder(client: Client) -> str:
    """Return the token of the run that holds the lock; empty if none does."""
    return str(_lock(client).get("token", ""))


def break_lock(client: Client) -> bool:
    """Remove the lock, whoever holds it, and return whether there was one."""
    there = client.head(LOCK) is not None
    client.delete(LOCK)
    return there


def _take(client: Client, token: str, mine: str, now: datetime) -> None:
    """Acquire the lock: create it, or take it over from a run that has ended."""
    document = _document(token)
    if client.create(LOCK, document) is not None:
        return
    meta, since, held = client.head(LOCK), client.modified(LOCK), holder(client)
    if meta is None or since is None:
        raise _occupied(client, "just now", "")
    dead = (mine and held.startswith(f"{mine}-")) or has_ended(_lock(client))
    if not dead and now - since < EXPIRY:
        ago = max(0, round((now - since).total_seconds()))
        raise _occupied(client, f"last sign of life {ago} seconds ago", _owner(client))
    if client.swap(meta, document) is None:
        raise _occupied(client, "just now", "")


def _keep(client: Client, token: str, ended: threading.Event) -> None:
    """Renew the lock periodically. If it is lost, `require` detects that."""
    while not ended.wait(RENEW):
        try:
            meta = client.head(LOCK)
            if meta is None or holder(client) != token or client.swap(meta, _document(token)) is None:
                return
        except StorageError:
            continue


def _document(token: str) -> bytes:
    return json.dumps({"token": token, **presence(), "sign": os.urandom(4).hex()}).encode()


def _lock(client: Client) -> dict[str, Any]:
    """Return the content of the lock; empty if it does not exist or is unreadable."""
    try:
        found = json.loads(client.read(LOCK))
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _owner(client: Client) -> str:
    owner = _lock(client)
    if not {"process", "host"} <= owner.keys():
        return ""
    return f" (process {str(owner['process'])[:20]} on {str(owner['host'])[:60]!a})"


def _occupied(client: Client, when: str, who: str) -> UsageError:
    return UsageError(
        f"Another run{who} is at work there, {when}.",
        str(client.remote),
        f"Wait for it, or stop it. The lock of a dead run expires after {EXPIRY.seconds // 60} minutes. If "
        f"you are sure that it is dead, run `spectralearth-build unlock {client.remote}`.",
    )


def _dishonoured(client: Client, what: str) -> StorageError:
    return StorageError(
        f"The object store does not support conditional {what}, so publishing and locking would not be safe.",
        str(client.remote),
        "Use another store, or build into a local folder and copy it there.",
    )
