"""What a file of weights is, without torch: whether this package wrote it, and a digest of all that defines it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from spectralearth_build.errors import UsageError
from spectralearth_build.pretrain.published.statistics import beside

FORMAT = "spectralearth-build encoder 1"
"""Key of the metadata in encoder files of this package."""
REMEDY = (
    "Use encoder.safetensors of a run. SpectralEarth's weights can be used once mu.npy and sigma.npy lie beside them, "
    "or after `import-encoder`."
)
TORCH = (b"PK", b"\x80\x02")
"""First bytes of torch's files, today's and those of before 1.6."""


def is_ours(path: Path) -> bool:
    """Return whether a file is an encoder of this package, from its first bytes.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        begin = file.read(9)
        size = int.from_bytes(begin[:8], "little")
        if begin[8:] != b"{" or size > path.stat().st_size:
            return False
        file.seek(8)
        try:
            return FORMAT in json.loads(file.read(size)).get("__metadata__", {})
        except (ValueError, TypeError, AttributeError):
            return False


def digest_of(path: Path) -> str:
    """Return the SHA-256 of an encoder file or, for published weights, of the file and the statistics beside it.

    Raises:
        UsageError: A file cannot be read.
    """
    try:
        found = None if is_ours(path) else beside(path)
        if found is None:
            return _sha256(path)
        return hashlib.sha256(" ".join(map(_sha256, (path, *found))).encode()).hexdigest()
    except OSError as error:
        what = f"The encoder cannot be read: {error}."
        raise UsageError(what, path, "Use encoder.safetensors of a run.") from error


def require_statistics(path: Path) -> None:
    """Refuse weights in a file of torch that have no statistics of their input beside them.

    Raises:
        UsageError: They have none.
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        begin = file.read(2)
    if begin in TORCH and beside(path) is None:
        raise UsageError("This is a file of torch, which has no statistics of the input.", path, REMEDY)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
