"""Locations of archives and datasets: a local path, or a URL on an object store, without secrets."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import unquote, urlsplit

from spectralearth_build.errors import UsageError
from spectralearth_build.shipped import shipped

Scheme = Literal["s3", "gs", "az"]
SCHEMES: tuple[Scheme, ...] = ("s3", "gs", "az")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


@dataclass(frozen=True)
class Remote:
    """A prefix on an object store. It contains no secrets, so it may be printed, pickled and sent to workers."""

    scheme: Scheme
    """s3, gs or az."""
    bucket: str
    """Name of the bucket, or of the Azure container."""
    prefix: str = ""
    """Object names begin with this and a slash; empty: the whole bucket."""

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}" + (f"/{self.prefix}" if self.prefix else "")

    def __truediv__(self, name: str) -> Remote:
        return Remote(self.scheme, self.bucket, f"{self.prefix}/{name}" if self.prefix else name)

    @property
    def key(self) -> str:
        """Return a short name for local folders of this location."""
        return hashlib.sha256(str(self).encode()).hexdigest()[:24]

    def overlaps(self, other: Remote) -> bool:
        """Return whether one location is inside the other."""
        if (self.scheme, self.bucket) != (other.scheme, other.bucket):
            return False
        one, two = PurePosixPath(self.prefix), PurePosixPath(other.prefix)
        return one.is_relative_to(two) or two.is_relative_to(one)


def is_url(text: str) -> bool:
    """Return whether a text is a URL rather than a path."""
    return _URL.match(text) is not None


def parse(text: str) -> Path | Remote:
    """Read a path or URL.

    Args:
        text: a path, ``file:///path``, or ``s3://``, ``gs://`` or ``az://`` with bucket and prefix. The prefix is used
            as it is, without percent-decoding.

    Raises:
        UsageError: The URL has another scheme, no bucket, or a part that may be secret. The message does not repeat it.
    """
    if not is_url(text):
        return Path(text)
    scheme, _, rest = text.partition("://")
    if scheme.lower() == "file":
        return _local(text)
    if scheme not in SCHEMES:
        raise UsageError(
            f"URLs must begin with {', '.join(f'{s}://' for s in SCHEMES)} or file://, not '{scheme}://'."
        )
    if any(mark in rest for mark in "@?#"):
        raise UsageError(
            "A URL must not contain a user, password, query or fragment.",
            remedy=f"Give credentials in the environment, see {shipped('docs/object-stores.md')}.",
        )
    bucket, _, prefix = rest.partition("/")
    parts = [part for part in prefix.split("/") if part]
    if not _BUCKET.fullmatch(bucket):
        raise UsageError(f"The name of a bucket or container must follow {scheme}://.")
    if any(part in (".", "..") or not part.isprintable() for part in parts):
        raise UsageError("The path of the URL contains '.', '..' or unprintable characters.")
    return Remote(scheme, bucket, "/".join(parts))


def _local(text: str) -> Path:
    try:
        split = urlsplit(text)
        if split.netloc in ("", "localhost") and not split.query and not split.fragment and split.path:
            return Path(unquote(split.path))
    except ValueError:
        pass
    raise UsageError("Write local paths as file:///absolute/path.")
