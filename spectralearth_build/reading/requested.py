"""Reading of rows of shards on an object store by asynchronous requests, as many at once as are asked for."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from concurrent.futures import Future
from functools import partial
from pathlib import Path

from spectralearth_build.errors import DamagedError
from spectralearth_build.reading.array_layout import ArrayLayout
from spectralearth_build.reading.byte_source import ObjectSource
from spectralearth_build.reading.sharded import (
    ShardedReader,
    index_length,
    kept_indices,
    parsed_index,
    place_in,
)
from spectralearth_build.store.codec import NODATA, Patch, decode_into
from spectralearth_build.store.shard import Index

Request = Future[memoryview | None]
"""The encoded bytes of a patch; None if it does not exist."""


class RequestingReader(ShardedReader):
    """A reader of a store on an object store with one of our codecs, made by `open_reader`.

    A patch takes one request, and its shard's index another, which all patches of the shard share. Indices stay in
    memory, up to a limit.
    """

    def __init__(self, array: str | Path, source: ObjectSource, layout: ArrayLayout) -> None:
        super().__init__(array, source, layout)
        self._objects = source
        self._indices: OrderedDict[str, asyncio.Task[Index]] = OrderedDict()  # used by the event loop only

    def request(self, row: int) -> Request:
        """See `Reader.request`."""
        return self._objects.begin(self._requested(*self.shard_and_place(row)))

    def read_into(self, row: int, out: Patch, request: Request | None = None) -> bool:
        """See `Reader.read_into`."""
        data = self.encoded(row, request)
        if data is not None:
            try:
                decode_into(data, out, self._codec)
            except DamagedError:  # bytes damaged in transit may arrive intact the next time
                data = self.encoded(row)
                if data is not None:
                    self.naming(row, partial(decode_into, data, out, self._codec))
        if data is None:
            out[...] = NODATA
        return data is not None

    def encoded(self, row: int, request: Request | None = None) -> memoryview | None:
        """Return the encoded patch, unchecked; None if it does not exist.

        Args:
            row: row of the patch in the store.
            request: output of `request` for this row; None: begin now.
        """
        return self.naming(row, (request or self.request(row)).result)

    async def _requested(self, name: str, inside: int) -> memoryview | None:
        try:
            place = place_in(await self._shared_index(name), inside)
        except FileNotFoundError:
            return None
        return None if place is None else await self._objects.fetched(name, *place)

    async def _shared_index(self, name: str) -> Index:
        """Return the index of a shard, asked for once by however many wait for it."""
        task = self._indices.get(name)
        if task is None or (task.done() and task.exception() is not None):
            task = self._indices[name] = asyncio.create_task(self._read_index(name))
            while len(self._indices) > kept_indices(self.layout):
                self._indices.popitem(last=False)
        self._indices.move_to_end(name)
        return await asyncio.shield(task)  # whoever stops waiting does not stop the others

    async def _read_index(self, name: str) -> Index:
        length = index_length(self.layout)
        try:
            return parsed_index(*await self._objects.ended(name, length), length)
        except DamagedError:  # as for patches
            return parsed_index(*await self._objects.ended(name, length), length)
