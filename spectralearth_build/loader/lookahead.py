"""Requests for the patches of coming samples, so that many are on their way while few threads decode.

As many patches are on their way as arrive in the longest delay to be expected: rate times delay. They are requested in
the order in which they are needed.
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

T = TypeVar("T")

Requests = Mapping[int, Any]
"""Requests of a sample, by patch."""
NONE: Requests = {}


class Lookahead(Generic[T]):
    """The batches of an epoch, whose patches are requested ahead.

    Args:
        batches: the samples of each batch.
        begin: requests the patches of a sample, without waiting.
        key: returns what tells samples apart; if two are the same, their requests are too.
        first: number of patches to request at first, so that the first batch need not share the line with many later
            ones. Each patch that has arrived allows one more, which doubles the number in each round trip.
        most: largest number of patches that are on their way or wait to be decoded (exceeded by less than a sample);
            0: none is requested ahead.
    """

    def __init__(
        self,
        batches: Iterator[list[T]],
        begin: Callable[[T], Requests],
        key: Callable[[T], int],
        first: int,
        most: int,
    ) -> None:
        self._source, self._begin, self._key = batches, begin, key
        self._allowed, self._most = min(first, most), most
        self._guard = threading.Lock()
        self._drawn, self._coming = deque[list[T]](), deque[T]()
        self._requests: defaultdict[int, deque[Requests]] = defaultdict(deque)
        self.open = 0
        """Patches that are on their way or wait to be decoded."""
        self._ended = False

    def __iter__(self) -> Iterator[list[T]]:
        """Yield the batches in order."""
        while True:
            with self._guard:
                if not self._drawn and not self._draw():
                    return
                batch = self._drawn.popleft()
                self._top_up()
            yield batch

    @contextmanager
    def requests(self, sample: T) -> Iterator[Requests]:
        """Yield the requests of a sample, which is decoded within this context; further ones follow after it."""
        with self._guard:
            waiting = self._requests[self._key(sample)]
            found = waiting.popleft() if waiting else NONE
            if not waiting:
                del self._requests[self._key(sample)]
        try:
            yield found
        finally:
            with self._guard:
                self.open -= len(found)
                self._allowed = min(self._most, self._allowed + len(found))
                self._top_up()

    def close(self) -> None:
        """Cancel all requests."""
        with self._guard:
            self._ended = True
            self._coming.clear()
            for request in self.waiting():
                request.cancel()
            self._requests.clear()

    def waiting(self) -> list[Any]:
        """Return the requests of samples that no thread has begun to decode."""
        return [
            request for each in self._requests.values() for requests in each for request in requests.values()
        ]

    def _draw(self) -> bool:
        """Draw the next batch; return whether there is one."""
        batch = None if self._ended else next(self._source, None)
        if batch is None:
            self._ended = True
            return False
        self._drawn.append(batch)
        if self._most:
            self._coming.extend(batch)
        return True

    def _top_up(self) -> None:
        """Request samples until enough patches are on their way."""
        while self.open < self._allowed and (self._coming or self._draw()):
            sample = self._coming.popleft()
            requests = self._begin(sample)
            self._requests[self._key(sample)].append(requests)
            self.open += len(requests)
