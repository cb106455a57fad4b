"""The lock of a location on an object store, and a check that the store supports it.

The lock is an object made by conditional create. All times come from the store, so clocks need not agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from spectralearth_build.errors import StorageError
from spectralearth_build.layout import LOCK, PROBE
from spectralearth_build.storage import lease
from spectralearth_build.storage.client import Client, Meta
from spectralearth_build.storage.retry import Patience

RENEW = 60.0
"""Seconds between two renewals."""
BRIEF = Patience(tries=3, deadline=10)
"""Limits for releasing the lock: the run may be ending because the store is unreachable."""


@dataclass(frozen=True)
class ObjectLease:
    """See `lease.Lease`. The version is the ETag."""

    client: Client
    now: datetime | None = None
    """The store's time, for a run that wants the lock."""

    @property
    def pause(self) -> float:
        """Return the seconds between two renewals."""
        return RENEW

    @property
    def where(self) -> str:
        """Return the URL."""
        return str(self.client.remote)

    @property
    def remedy(self) -> str:
        """Return what to type."""
        return f"run `spectralearth-build unlock {self.client.remote}`"

    def create(self, document: bytes) -> bool:
        """See `lease.Lease.create`."""
        return self.client.create(LOCK, document) is not None

    def read(self) -> bytes:
        """See `lease.Lease.read`."""
        return self.client.read(LOCK)

    def version(self) -> Meta | None:
        """See `lease.Lease.version`."""
        return self.client.head(LOCK)

    def quiet(self, version: Meta) -> str:
        """See `lease.Lease.quiet`. The store knows when the lock was written, so this does not wait."""
        since = self.client.modified(version.name)
        if since is None or self.now is None:
            return "just now"
        if self.now - since >= lease.EXPIRY:
            return ""
        return f"last sign of life {max(0, round((self.now - since).total_seconds()))} seconds ago"

    def replace(self, version: Meta, document: bytes) -> bool:
        """See `lease.Lease.replace`."""
        return self.client.swap(version, document) is not None

    renew = replace

    def delete(self) -> None:
        """See `lease.Lease.delete`."""
        self.client.delete(LOCK)

    def patient(self) -> ObjectLease:
        """See `lease.Lease.patient`."""
        return replace(self, client=replace(self.client, patience=BRIEF))


@contextmanager
def leased(client: Client, token: str, mine: str = "") -> Iterator[None]:
    """Hold the lock of a location. If it is lost, `lease.require` detects that. For the arguments see `lease.held`.

    Raises:
        UsageError: Another run is active there.
        StorageError: The store does not support conditional writes, or refuses access.
    """
    with lease.held(ObjectLease(client, prove(client, token)), token, mine):
        yield


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


def _dishonoured(client: Client, what: str) -> StorageError:
    return StorageError(
        f"The object store does not support conditional {what}, so publishing and locking would not be safe.",
        str(client.remote),
        "Use another store, or build into a local folder and copy it there.",
    )
