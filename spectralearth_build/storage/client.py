"""Objects of one prefix: list, read, write, create, delete. Every byte is checked as far as the store allows.

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
"""Larger files go up in parts."""
THREADS = 4
"""Parts of one object under way at a time."""
_CLIENT: dict[str, Any] = {"timeout": timedelta(seconds=120), "connect_timeout": timedelta(seconds=10)}
_PLAIN = {"s3": "AWS_ALLOW_HTTP", "gs": "GOOGLE_ALLOW_HTTP", "az": "AZURE_ALLOW_HTTP"}
"""Variables that allow http:// endpoints; obstore forgets them when given options of ours."""
_RETRY: dict[str, Any] = {
    "max_retries": 2,
    "retry_timeout": timedelta(seconds=120),
    "backoff": {"init_backoff": timedelta(seconds=0.2), "max_backoff": timedelta(seconds=5), "base": 2},
}


@dataclass(frozen=True)
class Meta:
    """What a store says of an object."""

    name: str
    """Below the prefix."""
    size: int
    """Bytes."""
    etag: str
    """Changes with the content; empty if the store gives none."""


@functools.cache
def store_of(remote: Remote) -> ObjectStore:
    """The store of a prefix, made once a process. Credentials, region and endpoint come from the environment.

    Raises:
        StorageError: the environment lacks something that it needs.
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
        reason = f"The store cannot be opened ({trouble_of(error).words})."
        raise StorageError(reason, str(remote), f"{hint} in the environment.") from None


@dataclass(frozen=True)
class Client:
    """Operations on the objects of a prefix, each tried again within bounds; see `retry.insist` for what is raised."""

    remote: Remote
    """The prefix."""
    patience: Patience | None = None
    """How long to insist; None: `retry.PATIENCE`."""

    @property
    def store(self) -> ObjectStore:
        """The obstore store."""
        return store_of(self.remote)

    def listing(self, prefix: str = "") -> list[Meta]:
        """All objects, those below a folder ``prefix`` only if one is given; sorted by name."""

        def action() -> list[Meta]:
            pages = obstore.list(self.store, prefix or None, chunk_size=1000)
            return sorted((_meta(entry) for page in pages for entry in page), key=lambda meta: meta.name)

        found = self._insist("", action, ())
        if not found:
            self.require_sense()
        return found

    def head(self, name: str) -> Meta | None:
        """What the store says of an object; None if there is none."""
        try:
            return self._insist(name, lambda: _meta(obstore.head(self.store, name)))
        except FileNotFoundError:
            return None

    def modified(self, name: str) -> datetime | None:
        """When an object was written, by the store's clock; None if there is none."""
        try:
            found = self._insist(name, lambda: obstore.head(self.store, name))
        except FileNotFoundError:
            return None
        return found["last_modified"]

    def children(self, folder: str) -> tuple[list[str], list[Meta]]:
        """Names of the folders, and the objects, that lie directly in a folder ('' for the whole prefix)."""

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
        """Make sure that an object store answers, not a page that says the same to all: that lists nothing too.

        Raises:
            StorageError: it has an object of a name that nobody has given.
        """
        try:
            there = self.head(f"{PROBE}{os.urandom(16).hex()}") is not None
        except StorageError:  # who refuses does not say the same to all
            return
        if there:
            what = "The server is not an object store: it returns an object for any name."
            raise StorageError(what, str(self.remote), ENDPOINT[self.remote.scheme])

    def read(self, name: str, start: int = 0, stop: int | None = None, etag: str = "") -> bytes:
        """An object's bytes, or those from ``start`` to before ``stop``.

        Args:
            name: the object.
            start: first byte.
            stop: behind the last byte; None: to the end.
            etag: what the object must be, if given.

        Raises:
            FileNotFoundError: there is none.
            PreconditionError: it is another one by now.
        """
        agreement = Agreement()
        return self._insist(name, lambda: self._read(name, start, stop, etag, agreement))

    def download(self, meta: Meta, target: Path) -> None:
        """Fetch an object into a file, in parts, all of one version.

        Raises:
            FileNotFoundError: it is gone.
            PreconditionError: it changed meanwhile.
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
        """Write an object, whatever was there, and make sure that it holds ``data`` (bytes, or a file's)."""

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
        """Write an object unless there is one; None if there is one with other content.

        One with the same content counts as created: it may be one's own, its acknowledgement lost.
        """
        made = False

        def action() -> Meta:
            nonlocal made
            if made:  # damaged on its way; nobody but us has written it
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
        """Replace an object, if it is still that of ``meta``; None if it is not, or is gone."""
        there = meta

        def action() -> Meta:
            nonlocal there
            mode: Any = {"e_tag": there.etag}
            result = obstore.put(self.store, meta.name, data, mode=mode, use_multipart=False)
            there = Meta(meta.name, len(data), result["e_tag"] or "")  # ours, even if damaged on its way
            self._check(there, data)
            return there

        try:
            return self._insist(meta.name, action)
        except FileNotFoundError:
            return None
        except refused.PreconditionError:
            return self._same(meta.name, data)

    def delete(self, name: str) -> None:
        """Delete an object, if there is one."""
        try:
            self._insist(name, lambda: obstore.delete(self.store, name), ABSENT)
        except FileNotFoundError:
            return

    def _same(self, name: str, data: bytes) -> Meta | None:
        """What the store says of an object, if it holds ``data``."""
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
            raise SpoiltError(f"{len(data)} bytes came of {last - first}")
        if len(data) == result.meta["size"]:
            agreement.check(result.meta["e_tag"] or "", data)
        return data

    def _check(self, meta: Meta, data: bytes | Path) -> None:
        """Make sure that what was written is there as it should be."""
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
