"""Byte sources: files via positioned reads, object stores via range requests.

Names are paths relative to a folder or URL. Both kinds are thread-safe.
"""

from __future__ import annotations

import errno
import os
import threading
from collections import OrderedDict
from collections.abc import Coroutine
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from spectralearth_build.errors import DamagedError, UsageError
from spectralearth_build.storage.url import Remote, parse

T = TypeVar("T")

OPEN_FILES = 256
"""Maximum number of open files per source. The least recently read is closed first."""


class ByteSource(Protocol):
    """A source of bytes by name. All methods raise `FileNotFoundError` if the name does not exist."""

    remote: bool
    """Whether reads wait for a network, so that more threads than cores are useful."""

    def fetch(self, name: str, start: int, length: int) -> memoryview:
        """Return ``length`` bytes from ``start``, valid until this thread fetches again.

        Raises:
            DamagedError: There are fewer bytes.
        """

    def tail(self, name: str, length: int) -> tuple[memoryview, int]:
        """Return the last ``length`` bytes, or all if there are fewer, and the total size."""

    def whole(self, name: str) -> bytes:
        """Return all bytes."""

    def where(self, name: str) -> str:
        """Return the full path or URL, for messages."""


def source_of(place: str | Path) -> ByteSource:
    """Return the source for a folder or a URL: s3://, gs://, az:// or file://.

    Raises:
        UsageError: The URL has another scheme.
    """
    found = parse(str(place))
    return FileSource(found) if isinstance(found, Path) else ObjectSource(found)


class _File:
    """A file descriptor that is closed when the last thread that reads from it releases it."""

    def __init__(self, path: Path) -> None:
        self.descriptor = -1
        self.descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))

    def __del__(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)


class FileSource:
    """Files of a folder, kept open and read with ``preadv`` into one buffer per thread.

    Args:
        folder: folder that names are relative to.
        open_files: maximum number of open files.
    """

    remote = False

    def __init__(self, folder: Path, open_files: int = OPEN_FILES) -> None:
        self.folder = folder
        self._most = open_files
        self._files: OrderedDict[str, _File] = OrderedDict()
        self._lock = threading.Lock()
        self._buffers = threading.local()

    def fetch(self, name: str, start: int, length: int) -> memoryview:
        """See `ByteSource.fetch`."""
        file, into = self._opened(name), self._buffer(length)
        done = 0
        while done < length:
            count = os.preadv(file.descriptor, [into[done:]], start + done)
            if count == 0:
                raise DamagedError(
                    f"The file ends at byte {start + done}, {length - done} bytes early.", self.folder / name
                )
            done += count
        return into

    def tail(self, name: str, length: int) -> tuple[memoryview, int]:
        """See `ByteSource.tail`."""
        size = os.fstat(self._opened(name).descriptor).st_size
        begin = max(0, size - length)
        return memoryview(bytes(self.fetch(name, begin, size - begin))), size

    def whole(self, name: str) -> bytes:
        """See `ByteSource.whole`."""
        return (self.folder / name).read_bytes()

    def where(self, name: str) -> str:
        """See `ByteSource.where`."""
        return str(self.folder / name)

    def _opened(self, name: str) -> _File:
        with self._lock:
            file = self._files.get(name)
            if file is None:
                file = self._files[name] = self._open(name)
                if len(self._files) > self._most:
                    self._files.popitem(last=False)
            else:
                self._files.move_to_end(name)
            return file

    def _open(self, name: str) -> _File:
        try:
            return _File(self.folder / name)
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE) or not self._files:
                raise
        self._most = max(1, len(self._files) // 2)  # other code in this process needs some too
        self._files.clear()
        return _File(self.folder / name)

    def _buffer(self, length: int) -> memoryview:
        held: memoryview | None = getattr(self._buffers, "view", None)
        if held is None or len(held) < length:
            held = self._buffers.view = np.empty(length + length // 4, np.uint8).data
        return held[:length]


class ObjectSource:
    """Objects below a prefix, read by asynchronous range requests with a limited number of retries.

    Credentials, region and endpoint come from the environment.

    Args:
        remote: URL of the prefix.
    """

    remote = True

    def __init__(self, remote: Remote) -> None:
        from spectralearth_build.storage.client import Client

        self.place = remote
        self.client = Client(remote)

    def fetch(self, name: str, start: int, length: int) -> memoryview:
        """See `ByteSource.fetch`; the bytes are obstore's own, not copied."""
        return self.begin(self.fetched(name, start, length)).result()

    def tail(self, name: str, length: int) -> tuple[memoryview, int]:
        """See `ByteSource.tail`."""
        return self.begin(self.ended(name, length)).result()

    def whole(self, name: str) -> bytes:
        """See `ByteSource.whole`."""
        _refuse_fork(self.place)
        return self.client.read(name)

    def where(self, name: str) -> str:
        """See `ByteSource.where`."""
        return str(self.place / name)

    def begin(self, request: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a request, and return its result as a future for threads."""
        from spectralearth_build.storage.loop import submit

        try:
            _refuse_fork(self.place)
        except UsageError:
            request.close()
            raise
        return submit(request)

    async def fetched(self, name: str, start: int, length: int) -> memoryview:
        """Do what `fetch` does."""
        import obstore

        from spectralearth_build.storage.retry import insist_async

        where = self.where(name)
        action = partial(obstore.get_range_async, self.client.store, name, start=start, length=length)
        found = memoryview(await insist_async(where, action))
        if len(found) < length:
            raise DamagedError(f"Received {len(found)} bytes instead of {length}.", where)
        return found

    async def ended(self, name: str, length: int) -> tuple[memoryview, int]:
        """Do what `tail` does, with one request, whose response also tells the size."""
        from spectralearth_build.storage.retry import insist_async
        from spectralearth_build.storage.suffix import read_suffix

        return await insist_async(self.where(name), partial(read_suffix, self.client.store, name, length))


_process: int | None = None
"""Id of the process in which obstore was first used."""


def _refuse_fork(place: Remote) -> None:
    """Refuse to use obstore after a fork. Its threads do not survive one, so a request in the child would hang."""
    global _process
    _process = _process or os.getpid()
    if _process != os.getpid():
        raise UsageError(
            "Cannot read from an object store in a forked process if its parent has read from one.",
            str(place),
            'Start workers with multiprocessing_context="spawn", or use Loader, which needs no workers.',
        )
