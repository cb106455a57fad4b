"""Operations on the objects of one prefix: list, read, write, create, delete. All bytes are verified if possible.

What was written and read is compared with the object's ETag, see `entity_tag`; where that proves nothing, what was
written is read back.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import obstore
from obstore import exceptions as refused
from obstore.store import AzureStore, GCSStore, ObjectStore, S3Store

from spectralearth_build.errors import StorageError
from spectralearth_build.layout import PROBE
from spectralearth_build.storage.entity_tag import PART, Agreement, pieces, proves
from spectralearth_build.storage.retry import ABSENT, ANSWERS, UNMET, Patience, insist
from spectralearth_build.storage.trouble import ENDPOINT, SpoiltError, trouble_of
from spectralearth_build.storage.url import Remote

if TYPE_CHECKING:
    from obstore import GetOptions

T = TypeVar("T")

LARGE = 2 * PART
"""Larger files are uploaded in parts."""
THREADS = 4
"""Number of parts of one object to transfer at a time."""
_CLIENT: dict[str, Any] = {"timeout": timedelta(seconds=120), "connect_timeout": timedelta(seconds=10)}
_PLAIN = {"s3": "AWS_ALLOW_HTTP", "gs": "GOOGLE_ALLOW_HTTP", "az": "AZURE_ALLOW_HTTP"}
"""Variables that allow http:// endpoints. obstore ignores them if it is given explicit options."""
_RETRY: dict[str, Any] = {
    "max_retries": 2,
    "retry_timeout": timedelta(seconds=120),
    "backoff": {"init_backoff": timedelta(seconds=0.2), "max_backoff": timedelta(seconds=5), "base": 2},
}


@dataclass(frozen=True)
class Meta:
    """Metadata of an object."""

    name: str
    """Name below the prefix."""
    size: int
    """Size in bytes."""
    etag: str
    """ETag, which changes with the content; empty if the store gives none."""


@functools.cache
def store_of(remote: Remote) -> ObjectStore:
    """Return the store of a prefix, made once per process. Credentials, region and endpoint come from the environment.

    Raises:
        StorageError: The environment lacks required variables.
    """
    options = _CLIENT | {"allow_http": os.environ.get(_PLAIN[remote.scheme], "").lower() in ("1", "true")}
    how: dict[str, Any] = {"client_options": options, "retry_config": _RETRY, "prefix": remote.prefix or None}
    try:
        if remote.scheme == "s3":
            return S3Store(remote.bucket, **how)
        if remote.scheme == "gs":
            return GCSStore(remote.bucket, **how)
        return AzureStore(remote.bucket, **how)
    except Exception as error:
        hint = (
            "Set AZURE_STORAGE_ACCOUNT_NAME and credentials" if remote.scheme == "az" else "Set credentials"
        )
        reason = f"Cannot open the object store ({trouble_of(error).words})."
        raise StorageError(reason, str(remote), f"{hint} in the environment.") from None


@dataclass(frozen=True)
class Client:
    """Operations on the objects of a prefix, with limited retries. See `retry.insist` for the errors."""

    remote: Remote
    """URL of the prefix."""
    patience: Patience | None = None
    """Limits of retries; None: `retry.PATIENCE`."""

    @property
    def store(self) -> ObjectStore:
        """The obstore store."""
        return store_of(self.remote)

    def listing(self, prefix: str = "") -> list[Meta]:
        """Return all objects, sorted by name; if ``prefix`` is given, only those below that folder."""

        def action() -> list[Meta]:
            pages = obstore.list(self.store, prefix or None, chunk_size=1000)
            return sorted((_meta(entry) for page in pages for entry in page), key=lambda meta: meta.name)

        found = self._insist("", action, ())
        if not found:
            self.require_sense()
        return found

    def head(self, name: str) -> Meta | None:
        """Return the metadata of an object; None if it does not exist."""
        try:
            return self._insist(name, lambda: _meta(obstore.head(self.store, name)))
        except FileNotFoundError:
            return None

    def modified(self, name: str) -> datetime | None:
        """Return when an object was written, by the clock of the store; None if it does not exist."""
        try:
            found = self._insist(name, lambda: obstore.head(self.store, name))
        except FileNotFoundError:
            return None
        return found["last_modified"]

    def children(self, folder: str) -> tuple[list[str], list[Meta]]:
        """Return the names of folders, and the objects, directly in a folder ('' for the whole prefix)."""

        def action() -> tuple[list[str], list[Meta]]:
            found = obstore.list_with_delimiter(self.store, folder or None)
            return sorted(found["common_prefixes"]), sorted(
                map(_meta, found["objects"]), key=lambda m: m.name
            )

        found = self._insist(folder, action, ())
        if not any(found):
            self.require_sense()
        return found

    def require_sense(self) -> None:
        """Check that the server is an object store, not one that answers all requests alike (it lists nothing too).

        Raises:
            StorageError: The server returns an object for a random name.
        """
        try:
            there = self.head(f"{PROBE}{os.urandom(16).hex()}") is not None
        except StorageError:  # a server that refuses does not answer every request alike
            return
        if there:
            what = "The server is not an object store: it returns an object for any name."
            raise StorageError(what, str(self.remote), ENDPOINT[self.remote.scheme])

    def read(self, name: str, start: int = 0, stop: int | None = None, etag: str = "") -> bytes:
        """Read an object, or its bytes from ``start`` up to ``stop`` (exclusive).

        Args:
            name: name of the object.
            start: first byte.
            stop: position after the last byte; None: to the end.
            etag: required ETag of the object, if given.

        Raises:
            FileNotFoundError: The object does not exist.
            PreconditionError: The object has changed.
        """
        agreement = Agreement()
        return self._insist(name, lambda: self._read(name, start, stop, etag, agreement))

    def download(self, meta: Meta, target: Path) -> None:
        """Download an object into a file, in parts that are all of one version.

        Raises:
            FileNotFoundError: The object does not exist.
            PreconditionError: The object changed during the download.
        """

        def part(start: int) -> None:
            data = self.read(meta.name, start, min(start + PART, meta.size), meta.etag)
            os.pwrite(descriptor, data, start)

        agreement = Agreement()

        def action() -> None:
            with ThreadPoolExecutor(THREADS) as pool:
                for done in [pool.submit(part, start) for start in range(0, meta.size, PART)]:
                    done.result()
            agreement.check(meta.etag, target)

        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        try:
            self._insist(meta.name, action)
        finally:
            os.close(descriptor)

    def put(self, name: str, data: bytes | Path) -> Meta:
        """Write an object, replacing any, and verify that it contains ``data`` (bytes, or those of a file)."""

        def action() -> Meta:
            size = _size(data)
            parts: dict[str, Any] = {
                "use_multipart": size > LARGE,
                "chunk_size": PART,
                "max_concurrency": THREADS,
            }
            result = obstore.put(self.store, name, data, **parts)
            meta = Meta(name, size, result["e_tag"] or "")
            self._check(meta, data)
            return meta

        return self._insist(name, action, ())

    def create(self, name: str, data: bytes) -> Meta | None:
        """Write an object unless it exists. Returns None if it exists with other content.

        An object with the same content counts as created: the response of an earlier try may have been lost.
        """
        made = False

        def action() -> Meta:
            nonlocal made
            if made:  # damaged in transit; only this run has written it
                return self.put(name, data)
            result = obstore.put(self.store, name, data, mode="create", use_multipart=False)
            made = True
            meta = Meta(name, len(data), result["e_tag"] or "")
            self._check(meta, data)
            return meta

        try:
            return self._insist(name, action, UNMET)
        except (refused.AlreadyExistsError, refused.PreconditionError):
            return self._same(name, data)

    def swap(self, meta: Meta, data: bytes) -> Meta | None:
        """Replace an object if it is unchanged since ``meta``. Returns None if it has changed or does not exist."""
        there = meta

        def action() -> Meta:
            nonlocal there
            mode: Any = {"e_tag": there.etag}
            result = obstore.put(self.store, meta.name, data, mode=mode, use_multipart=False)
            # written by this run, even if damaged in transit
            there = Meta(meta.name, len(data), result["e_tag"] or "")
            self._check(there, data)
            return there

        try:
            return self._insist(meta.name, action)
        except FileNotFoundError:
            return None
        except refused.PreconditionError:
            return self._same(meta.name, data)

    def delete(self, name: str) -> None:
        """Delete an object, if it exists."""
        try:
            self._insist(name, lambda: obstore.delete(self.store, name), ABSENT)
        except FileNotFoundError:
            return

    def _same(self, name: str, data: bytes) -> Meta | None:
        """Return the metadata of an object if it contains ``data``."""
        meta = self.head(name)
        if meta is None or meta.size != len(data) or self.read(name) != data:
            return None
        return meta

    def _read(self, name: str, start: int, stop: int | None, etag: str, agreement: Agreement) -> bytes:
        options: GetOptions = {"if_match": etag} if etag else {}
        if start or stop is not None:
            if stop == start:
                return b""
            options["range"] = {"offset": start} if stop is None else (start, stop)
        result = obstore.get(self.store, name, options=options)
        data = bytes(result.bytes())
        first, last = result.range
        if len(data) != last - first or first != start or (stop is not None and last != stop):
            raise SpoiltError(f"received {len(data)} of {last - first} bytes")
        if len(data) == result.meta["size"]:
            agreement.check(result.meta["e_tag"] or "", data)
        return data

    def _check(self, meta: Meta, data: bytes | Path) -> None:
        """Verify that an object was written correctly."""
        if proves(meta.etag, data):
            return
        for start, piece in zip(range(0, meta.size, PART), pieces(data), strict=True):
            if self.read(meta.name, start, min(start + PART, meta.size)) != piece:
                raise SpoiltError("it arrived damaged")

    def _insist(
        self, name: str, action: Callable[[], T], answers: tuple[type[Exception], ...] = ANSWERS
    ) -> T:
        return insist(str(self.remote / name if name else self.remote), action, self.patience, answers)


def _meta(entry: Any) -> Meta:  # noqa: ANN401
    return Meta(str(entry["path"]), int(entry["size"]), str(entry["e_tag"] or ""))


def _size(data: bytes | Path) -> int:
    return data.stat().st_size if isinstance(data, Path) else len(data)
