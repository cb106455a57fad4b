"""Files that vouch for themselves: the manifest, which lists the hash of every file but its own, and the report."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from spectralearth_build.store.commit import json_bytes

KEY = "seal"
_LINE = "<!-- sha256 {} -->\n"


def sealed(document: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON document with the SHA-256 of its other keys, in the form `json_bytes` gives them, under ``seal``."""
    rest = {key: value for key, value in document.items() if key != KEY}
    return {**rest, KEY: hashlib.sha256(json_bytes(rest)).hexdigest()}


def is_sealed(data: bytes) -> bool:
    """Whether these are, to the byte, those of a document that `sealed` returned."""
    try:
        return json_bytes(sealed(json.loads(data))) == data
    except (ValueError, TypeError, AttributeError, RecursionError):
        return False


def sealed_page(text: str) -> bytes:
    """A page with a last line that says the SHA-256 of all before it."""
    body = text.encode("utf-8")
    return body + _LINE.format(hashlib.sha256(body).hexdigest()).encode()


def is_sealed_page(data: bytes) -> bool:
    """Whether these are the bytes that `sealed_page` returned."""
    body = data[: -len(_LINE.format("0" * 64))]
    return data[len(body) :] == _LINE.format(hashlib.sha256(body).hexdigest()).encode()
