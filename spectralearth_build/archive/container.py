"""Archives that contain products: .zip, and .tar, .tar.gz or .tgz of zips. Nothing in them is trusted.

Only requested members are unpacked, to names chosen here, and only up to the size limits below.
"""

from __future__ import annotations

import gzip
import io
import lzma
import secrets
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from errno import EDQUOT, ENOSPC
from pathlib import Path
from typing import IO, cast

from spectralearth_build.archive.disk import require_readable, unreadable
from spectralearth_build.errors import BrokenArchiveError, OutOfSpaceError, ProductError
from spectralearth_build.texts import as_text

MAX_MEMBERS = 100_000
MAX_RATIO = 50
"""Largest compression ratio of a zip member or a gzip file; real ones have ratios of 1 to 3."""
HARMLESS = 128 * 2**20
"""Unpacked size, bytes, up to which any ratio is allowed: a cloud mask without clouds shrinks a thousandfold."""
MAX_BYTES = 8 * 2**30
"""Largest size of a member, bytes; real images have up to 0.95 GB."""
PIECE = 2**20
_TROUBLE = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error, EOFError, ValueError, LookupError,
    RuntimeError, OverflowError,
)  # fmt: skip
"""Exceptions that the standard library raises on damaged archives."""


@dataclass(frozen=True)
class Listing:
    """The contents of an archive."""

    members: tuple[str, ...]
    """Names of the regular files, unchecked and unchanged."""
    problem: ProductError | None = None
    """Why the archive could not be read to its end; None if it could."""
    cut: str = ""
    """The member that is cut off by an early end of the archive."""


def is_zip(path: str) -> bool:
    """Whether a file is a zip, by its name."""
    return path.lower().endswith(".zip")


def is_tar(path: str) -> bool:
    """Whether a file is a tar or tar.gz, by its name."""
    return path.lower().endswith((".tar", ".tar.gz", ".tgz"))


def list_members(path: Path) -> Listing:
    """List the members of an archive. A tar.gz must be decompressed for this, which takes seconds per gigabyte."""
    members: list[str] = []
    reading = ""
    try:
        with _mapped(path):
            for reading, complete in _list_zip(path) if is_zip(path.name) else _list_tar(path):
                if complete:
                    members.append(reading)
                    reading = ""
                if len(members) > MAX_MEMBERS:
                    raise ValueError(f"more than {MAX_MEMBERS} members")
    except ProductError as problem:
        return Listing(tuple(members), problem, reading)
    return Listing(tuple(members))


def unpack(path: Path, wanted: Mapping[str, Path]) -> None:
    """Unpack members of an archive.

    Args:
        path: the archive.
        wanted: the path to write each member to.

    Raises:
        BrokenArchiveError: a member is absent, damaged or larger than allowed.
        OutOfSpaceError: the disk is full.
        EmptyFileError, MissingFileError, UnreadableFileError: the archive cannot be read.
    """
    with _mapped(path):
        done = (_unpack_zip if is_zip(path.name) else _unpack_tar)(path, wanted)
        if absent := sorted(set(wanted) - done):
            raise ValueError(f"{absent[0]} is absent")


def unpack_each(
    path: Path, wanted: Mapping[str, Path], takes: Callable[[str, int], bool]
) -> Iterator[tuple[str, Path]]:
    """Unpack members of a tar in one pass, each to a partial file next to its target.

    Args:
        path: the tar.
        wanted: the final path of each member; absent members are no error.
        takes: called with the name and size in bytes of each member found; returns whether to unpack it.

    Yields:
        Name and partial file of each completely unpacked member.

    Raises:
        BrokenArchiveError, OutOfSpaceError: see `unpack`; members yielded before are sound.
    """
    left = set(wanted)
    with _mapped(path), _opened_tar(path) as (archive, _):
        for member in archive:
            name = as_text(member.name)
            if name in left and _regular(member):
                left.discard(name)
                source = archive.extractfile(member) if takes(name, member.size) else None
                if source is not None:
                    partial = partial_of(wanted[name])
                    try:
                        _copy(source, partial, MAX_BYTES)
                    except BaseException:
                        partial.unlink(missing_ok=True)
                        raise
                    yield name, partial
            if not left:
                break


def partial_of(path: Path) -> Path:
    """A unique name for an unfinished file."""
    return path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial")


def _list_zip(path: Path) -> Iterator[tuple[str, bool]]:
    with zipfile.ZipFile(path) as archive:
        yield from ((member.filename, True) for member in archive.infolist() if not member.is_dir())


def _list_tar(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield each regular member twice: at its start (False), and after all of it was read (True)."""
    with _opened_tar(path) as (archive, stream):
        for member in archive:
            if _regular(member):
                name = as_text(member.name)
                yield name, False
                stream.seek(member.offset_data + member.size)
                yield name, True
        if stream.last != bytes(tarfile.BLOCKSIZE):  # tarfile accepts any garbage as the end
            raise ValueError("it ends without an end mark")
        while piece := stream.read(PIECE):  # up to the checksum of the gzip
            if piece.count(0) < len(piece):
                raise ValueError("data follows its end mark, as if several tars had been joined")


def _unpack_zip(path: Path, wanted: Mapping[str, Path]) -> set[str]:
    with zipfile.ZipFile(path) as archive:
        held = set(archive.namelist()) & set(wanted)
        for name in sorted(held):
            member = archive.getinfo(name)
            limit = min(MAX_BYTES, _allowed(member.compress_size))
            if member.file_size > limit:
                raise ValueError(f"{member.compress_size} bytes claim to hold {member.file_size}")
            with archive.open(member) as source:
                _copy(source, wanted[name], limit)  # the header may understate the size
        return held


def _unpack_tar(path: Path, wanted: Mapping[str, Path]) -> set[str]:
    done: set[str] = set()
    with _opened_tar(path) as (archive, _):
        for member in archive:
            name = as_text(member.name)
            source = archive.extractfile(member) if name in wanted and _regular(member) else None
            if source is not None:
                _copy(source, wanted[name], MAX_BYTES)
                done.add(name)
            if len(done) == len(wanted):
                break  # the rest need not be decompressed
    return done


@contextmanager
def _opened_tar(path: Path) -> Iterator[tuple[tarfile.TarFile, _Stream]]:
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        size = path.stat().st_size
        source = cast("IO[bytes]", gzip.GzipFile(fileobj=raw) if packed else raw)
        stream = _Stream(source, _allowed(size) if packed else size)
        with tarfile.open(fileobj=stream, mode="r:") as archive:
            yield archive, stream


class _Stream(io.BufferedIOBase):
    """A forward-only file for tarfile that limits the total number of bytes and the size of each read."""

    def __init__(self, source: IO[bytes], limit: int) -> None:
        self.source, self.limit = source, limit
        self.place = 0
        self.last = b""
        """Result of the latest read."""

    def read(self, size: int | None = -1) -> bytes:
        """Read exactly ``size`` bytes, or fewer at the end.

        A tar header that claims a large size is refused, because it would be held in memory.
        """
        if size is None or not 0 <= size <= PIECE:
            raise ValueError(f"a header of {size} bytes")
        self.last = self.source.read(size)
        self.place += len(self.last)
        if self.place > self.limit:
            raise ValueError(f"it unpacks to more than {self.limit} bytes")
        return self.last

    def seek(self, place: int, whence: int = 0) -> int:
        """Skip forward to a position."""
        if place < self.place or whence:
            raise ValueError("its members overlap")
        while self.place < place:
            if not self.read(min(PIECE, place - self.place)):
                raise EOFError("it ends too early")
        return self.place

    def tell(self) -> int:
        """Bytes read so far."""
        return self.place


def _regular(member: tarfile.TarInfo) -> bool:
    return member.isfile() and not member.issparse()  # a tiny sparse member can fill the disk


def _allowed(packed: int) -> int:
    return max(HARMLESS, MAX_RATIO * packed)


def _copy(source: IO[bytes], target: Path, limit: int) -> None:
    left = limit
    with target.open("wb") as file:
        while piece := source.read(PIECE):
            left -= len(piece)
            if left < 0:
                raise ValueError(f"a member unpacks to more than {limit} bytes")
            file.write(piece)


@contextmanager
def _mapped(path: Path) -> Iterator[None]:
    """Turn errors of the system and the standard library into errors of the product."""
    require_readable(path)
    try:
        yield
    except OSError as error:
        if error.errno in (ENOSPC, EDQUOT):
            raise OutOfSpaceError("There is no space to unpack it.", path) from error
        if error.errno is not None:
            raise unreadable(error, path) from error
        raise BrokenArchiveError(f"It cannot be unpacked ({error}).", path) from error
    except _TROUBLE as error:
        raise BrokenArchiveError(f"It cannot be unpacked ({error}).", path) from error
