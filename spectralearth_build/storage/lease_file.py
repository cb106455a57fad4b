"""The lock of a folder whose file system may not have locks, or not between machines.

The lock is a file made by exclusive create, which all network file systems support. Its owner sets its modification
time. Another run does not compare that time with any clock, since clocks differ: it waits to see whether it changes.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from spectralearth_build.signals import raise_if_stopped
from spectralearth_build.storage import lease

RENEW = 20.0
"""Seconds between two renewals."""
TICK = 1.0
"""Seconds between two looks at the lock of another run."""
Version = tuple[int, bytes]
"""Modification time and content. Not the inode, which some network file systems make up."""


@dataclass(frozen=True)
class FileLease:
    """See `lease.Lease`."""

    path: Path
    """The lock."""
    tell: Callable[[str], None]
    """Called with a line for the user before a long wait."""

    @property
    def where(self) -> str:
        """Return the path of the lock."""
        return str(self.path)

    @property
    def remedy(self) -> str:
        """Return what to do."""
        return f"run `spectralearth-build unlock {self.path.parents[1]}`"

    @property
    def pause(self) -> float:
        """Return the seconds between two renewals."""
        return RENEW

    def create(self, document: bytes) -> bool:
        """See `lease.Lease.create`. Who reads it before it is written takes its owner for unknown, and waits."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self.path.open("xb") as file:
                file.write(document)
        except FileExistsError:
            return False
        return True

    def read(self) -> bytes:
        """See `lease.Lease.read`."""
        return self.path.read_bytes()

    def version(self) -> Version | None:
        """See `lease.Lease.version`. The file is opened, because NFS then asks the server instead of its cache."""
        try:
            return _version(self.path)
        except FileNotFoundError:
            return None

    def quiet(self, version: Version) -> str:
        """See `lease.Lease.quiet`. Waits until there is a sign of life, or for `EXPIRY`."""
        who = lease.owner(self)
        seconds = lease.EXPIRY.total_seconds()
        self.tell(
            f"{self.path} says that another run{f' ({who})' if who else ''} is at work here. If there is no sign of "
            f"life from it for {seconds / 60:g} minutes, this run takes over. To go on sooner, if you are sure that "
            f"it is dead, {self.remedy}."
        )
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            time.sleep(TICK)
            raise_if_stopped()
            now = self.version()
            if now is None:  # given back, or deleted by the user
                return ""
            if now != version:
                return "last sign of life just now"
        return ""

    def replace(self, version: Version, document: bytes) -> bool:
        """See `lease.Lease.replace`.

        Of several that try, one creates the successor of the old lock. A run that comes after the move can create one
        too, but then finds that the lock is no longer the old one. If a run died in between, its successor is a lock
        that must be taken over in turn.
        """
        content = version[1]
        name = f"{self.path.name}.{hashlib.sha256(content).hexdigest()[:16]}"
        successor = FileLease(self.path.with_name(name), self.tell)
        if not successor.create(document):
            other = successor.version()
            if (
                other is None
                or lease.sign_of_life(successor, other)
                or not successor.replace(other, document)
            ):
                return False
        now = self.version()
        if now is None or now[1] != content:
            successor.delete()
            return now is None and self.create(document)
        successor.path.replace(self.path)
        return True

    def renew(self, version: Version, document: bytes) -> bool:
        """See `lease.Lease.renew`. Only the time changes, so the lock of another run is never overwritten."""
        try:
            os.utime(self.path)
        except FileNotFoundError:
            return False
        return True

    def delete(self) -> None:
        """See `lease.Lease.delete`."""
        self.path.unlink(missing_ok=True)

    def patient(self) -> FileLease:
        """See `lease.Lease.patient`."""
        return self


def _version(path: Path) -> Version:
    with path.open("rb") as file:
        return os.fstat(file.fileno()).st_mtime_ns, file.read()
