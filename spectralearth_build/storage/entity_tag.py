"""Verification of bytes by the ETag of an object.

Most stores use the MD5 of an object as its ETag (or the MD5s of its parts, after an upload in parts). Some (S3 with
customer keys) give ETags that only look like an MD5. So bytes that do not match their ETag are accepted if two reads
agree.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from spectralearth_build.storage.trouble import SpoiltError

PART = 8 * 2**20
"""Size of a part in bytes, for upload and download."""
_MD5_DIGITS = 32


@dataclass
class Agreement:
    """Decides whether received bytes are those stored: if they match the ETag, or if two reads agree."""

    seen: set[str] = field(default_factory=set)
    """Hashes of the bytes received so far."""

    def check(self, etag: str, data: bytes | Path) -> None:
        """Raise `SpoiltError` if ``data`` must be fetched again."""
        if proves(etag, data) is not False:
            return
        digest = hashlib.sha256()
        for piece in pieces(data):
            digest.update(piece)
        if digest.hexdigest() not in self.seen:
            self.seen.add(digest.hexdigest())
            raise SpoiltError("it came damaged")


def proves(etag: str, data: bytes | Path) -> bool | None:
    """Return whether an ETag is that of ``data``; None if it is of a kind that cannot be computed.

    The ETag of S3 is the MD5 of the object or, after an upload in parts, the MD5 of the parts' MD5s, a dash and their
    number.
    """
    digest, dash, parts = etag.strip('"').partition("-")
    if len(digest) != _MD5_DIGITS or set(digest) - set("0123456789abcdef"):
        return None
    if not dash:
        whole = hashlib.md5(usedforsecurity=False)
        for piece in pieces(data):
            whole.update(piece)
        return whole.hexdigest() == digest
    sums = [hashlib.md5(piece, usedforsecurity=False).digest() for piece in pieces(data)]
    if str(len(sums)) != parts:
        return None  # uploaded by other software, in parts of another size
    return hashlib.md5(b"".join(sums), usedforsecurity=False).hexdigest() == digest


def pieces(data: bytes | Path) -> Iterator[bytes]:
    """Yield bytes, or those of a file, in parts."""
    if isinstance(data, bytes):
        yield from (data[start : start + PART] for start in range(0, len(data), PART))
        return
    with data.open("rb") as file:
        while piece := file.read(PART):
            yield piece
