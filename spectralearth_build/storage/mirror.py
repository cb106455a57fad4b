"""The mirror of a dataset on an object store: a local folder that stages work on.

The store is authoritative. At its start, a run makes the folder equal to the store. Then each local change of a file is
repeated on the store, in the same order. So guarantees on the order of writing also hold on the store, and the folder
may be lost at any time. Shards are represented by sparse files of their size, which take no space. They are fetched one
by one when they are read.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from obstore.exceptions import PreconditionError

from spectralearth_build.errors import StorageError
from spectralearth_build.storage import lease
from spectralearth_build.storage.attach import Attachment
from spectralearth_build.storage.client import Client, Meta
from spectralearth_build.storage.lease_object import ObjectLease

FETCHES = 16
"""Number of small objects to fetch at a time."""
PARTIAL = ".partial"
_SESSION = "session"


@dataclass(frozen=True)
class Rules:
    """Rules for names below a dataset."""

    bulk: tuple[str, ...]
    """Patterns of names that are kept locally as sparse files; * matches anything."""
    once: tuple[str, ...]
    """Prefixes of names that are written by conditional create, and only while the lock is held."""
    own: tuple[str, ...]
    """Prefixes of names that are not mirrored."""


@dataclass(frozen=True)
class Mirror(Attachment):
    """A dataset: what is written to the folder is written to the store."""

    rules: Rules
    token: str
    """Id of the run. A folder last used by another run, on another machine, is not trusted."""
    fetched: set[str] = field(default_factory=set, compare=False, repr=False)
    """Bulk files that this process has fetched and not released."""

    @property
    def client(self) -> Client:
        """Return a client of the store."""
        return Client(self.remote)

    def settle(self) -> None:
        """Empty the folder if it belongs to another run."""
        session = self.folder.parent / _SESSION
        session.parent.mkdir(parents=True, exist_ok=True)
        with (session.parent / f"{_SESSION}.lock").open("w") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            if read_session(self.folder) != self.token:
                shutil.rmtree(self.folder, ignore_errors=True)
                write_session(self.folder, self.token)
        self.folder.mkdir(exist_ok=True)

    def release(self) -> None:
        """Empty the fetched bulk files. Their size and time stay."""
        for path in [self.folder / name for name in self.fetched]:
            if path.is_file():
                seen = path.stat()
                os.truncate(path, 0)
                os.truncate(path, seen.st_size)
                os.utime(path, ns=(seen.st_mtime_ns, seen.st_mtime_ns))
        self.fetched.clear()

    def catch_up(self) -> None:
        """Register files that workers on other machines have written."""
        self.pull()

    def pull(self, trust: bool = True) -> list[Meta]:
        """Make the folder equal to the store, and return the objects there.

        Args:
            trust: whether to keep files that were fetched or written before and have not changed since, on either side.
        """
        listing = [meta for meta in self.client.listing() if not meta.name.startswith(self.rules.own)]
        known = {meta.name for meta in listing}
        for path in [path for path in self.folder.rglob("*") if path.is_file() or path.is_symlink()]:
            name = self._name(path)
            if name not in known and not name.startswith(self.rules.own):
                path.unlink()
        for meta in listing:
            if self._bulk(meta.name) and not is_version(self.folder / meta.name, meta):
                with stub(self.folder / meta.name, meta):
                    pass
        self._fetch(
            meta
            for meta in listing
            if not self._bulk(meta.name) and not (trust and is_version(self.folder / meta.name, meta))
        )
        return listing

    def written(self, path: Path) -> None:
        """Write a locally written file to the store.

        Raises:
            StorageError: Writing failed, or another run has taken over or has written something else there.
        """
        name = self._name(path)
        if name.startswith(self.rules.own) or name.endswith(PARTIAL):
            return
        if name.startswith(self.rules.once):
            lease.require(ObjectLease(self.client), self.token)
            meta = self.client.create(name, path.read_bytes())
            if meta is None:
                raise StorageError("Another run has written this file.", str(self.remote / name))
        else:
            meta = self.client.put(name, path)
        if self._bulk(name):
            with stub(path, meta):
                pass
        else:
            _mark(path, meta)

    def removed(self, path: Path) -> None:
        """Delete a locally deleted file on the store."""
        name = self._name(path)
        if not name.startswith(self.rules.own):
            self.client.delete(name)

    def present(self, path: Path) -> None:
        """Fetch a file that is missing locally, if it exists."""
        name = self._name(path)
        if path.is_file() and (name in self.fetched or not self._bulk(name)):
            return
        meta = self.client.head(name)
        if meta is not None:
            self._fetch([meta])
            if self._bulk(name):
                self.fetched.add(name)

    def __getstate__(self) -> dict[str, object]:
        """Return the state for other processes, without the list of files that this one has fetched."""
        return {**vars(self), "fetched": set()}

    def _bulk(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self.rules.bulk)

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()

    def _fetch(self, wanted: Iterable[Meta]) -> None:
        def fetch(meta: Meta) -> None:
            with replaced(self.folder / meta.name, meta) as temporary:
                download(self.client, meta, temporary)

        with ThreadPoolExecutor(FETCHES) as pool:
            for _ in pool.map(fetch, wanted):
                pass


def download(client: Client, meta: Meta, target: Path) -> None:
    """Fetch a listed object.

    Raises:
        StorageError: The object is missing or has changed.
    """
    try:
        client.download(meta, target)
    except (FileNotFoundError, PreconditionError):
        where = str(client.remote / meta.name)
        raise StorageError(
            "The object changed while it was being read.", where, "Run the same command again."
        ) from None


def read_session(folder: Path) -> str:
    """Return the token of the run that last used a mirror; empty if there was none."""
    try:
        return (folder.parent / _SESSION).read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""


def write_session(folder: Path, token: str) -> None:
    """Save the token of the run that uses a mirror."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.parent / f"{_SESSION}.{secrets.token_hex(6)}{PARTIAL}"
    temporary.write_text(token, encoding="ascii")
    temporary.replace(folder.parent / _SESSION)


@contextmanager
def replaced(path: Path, meta: Meta) -> Iterator[Path]:
    """Yield a temporary path, whose file then replaces ``path`` and is marked with the version of an object."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(6)}{PARTIAL}")
    try:
        yield temporary
        _mark(temporary, meta)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def stub(path: Path, meta: Meta) -> Iterator[Path]:
    """Create a sparse file with the size and version of an object, which takes no space.

    Yields its temporary path, so that parts of it can be filled in.
    """
    with replaced(path, meta) as temporary:
        with temporary.open("wb") as file:
            file.truncate(meta.size)
        yield temporary


def _mark(path: Path, meta: Meta) -> None:
    """Encode the version of an object in the file's time. Size and time are used to detect changes."""
    os.utime(path, ns=(_time(meta), _time(meta)))


def is_version(path: Path, meta: Meta) -> bool:
    """Return whether a file, or sparse file, is of an object's version."""
    try:
        seen = path.stat()
    except OSError:
        return False
    return bool(meta.etag) and (seen.st_size, seen.st_mtime_ns) == (meta.size, _time(meta))


def _time(meta: Meta) -> int:
    """Derive a time from the version: nanoseconds since 1970, between 2001 and 2014."""
    digest = hashlib.sha256(meta.etag.encode()).digest()
    return 10**18 + int.from_bytes(digest[:8], "big") % (4 * 10**17)
