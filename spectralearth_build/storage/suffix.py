"""The end of an object and its size, with one request if the store allows it."""

from __future__ import annotations

import obstore
from obstore import exceptions as refused
from obstore.store import ObjectStore

from spectralearth_build.storage.trouble import SpoiltError, status_of

_UNSATISFIABLE = 416
"""Status of a range request for an empty object."""


async def read_suffix(store: ObjectStore, name: str, length: int) -> tuple[memoryview, int]:
    """Return the last ``length`` bytes of an object, or all if there are fewer, and its size.

    Raises:
        SpoiltError: Too few bytes were received.
        Exception: Errors of obstore.
    """
    try:
        result = await obstore.get_async(store, name, options={"range": {"suffix": length}})
    except refused.NotSupportedError:  # Azure
        return await _in_two(store, name, length)
    except refused.BaseError as error:
        if status_of(error) != _UNSATISFIABLE:
            raise
        return memoryview(b""), 0
    size = int(result.meta["size"])
    data = memoryview(await result.bytes_async())
    if len(data) != min(size, length):
        raise SpoiltError(f"received {len(data)} of {min(size, length)} bytes")
    return data, size


async def _in_two(store: ObjectStore, name: str, length: int) -> tuple[memoryview, int]:
    size = int((await obstore.head_async(store, name))["size"])
    count = min(size, length)
    if not count:
        return memoryview(b""), size
    data = memoryview(await obstore.get_range_async(store, name, start=size - count, length=count))
    if len(data) != count:
        raise SpoiltError(f"received {len(data)} of {count} bytes")
    return data, size
