"""Files that contain their own hash: the manifest, which lists the hashes of all other files, and the report."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from spectralearth_build.store.commit import json_bytes

KEY = "seal"
_LINE = "<!-- sha256 {} -->\n"


def sealed(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON document with an added key ``seal``: the SHA-256 of the other keys as encoded by `json_bytes`."""
    rest = {key: value for key, value in document.items() if key != KEY}
    return {**rest, KEY: hashlib.sha256(json_bytes(rest)).hexdigest()}


def is_sealed(data: bytes) -> bool:
    """Return whether data are exactly the bytes of a document from `sealed`."""
    try:
        return json_bytes(sealed(json.loads(data))) == data
    except (ValueError, TypeError, AttributeError, RecursionError):
        return False


def sealed_page(text: str) -> bytes:
    """Return a page with a last line that contains the SHA-256 of everything before it."""
    body = text.encode("utf-8")
    return body + _LINE.format(hashlib.sha256(body).hexdigest()).encode()


def is_sealed_page(data: bytes) -> bool:
    """Return whether data are exactly the bytes of a page from `sealed_page`."""
    body = data[: -len(_LINE.format("0" * 64))]
    return data[len(body) :] == _LINE.format(hashlib.sha256(body).hexdigest()).encode()
