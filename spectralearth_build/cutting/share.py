"""A share of the tiles to cut, for several runs side by side, such as the elements of a job array."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from spectralearth_build.errors import UsageError
from spectralearth_build.layout import LOCK, PENDING_LIST

T = TypeVar("T")
_FORM = re.compile(r"(\d{1,6})/(\d{1,6})")


@dataclass(frozen=True)
class Share:
    """One of several equal shares. Which tiles are in it depends on the plan only, not on what was cut before."""

    number: int
    """Number of the share, from 1."""
    count: int
    """Number of shares."""

    @classmethod
    def parse(cls, text: str) -> Share:
        """Parse a share such as ``3/16``.

        Raises:
            UsageError: It is not NUMBER/COUNT, or the number is not from 1 to the count.
        """
        found = _FORM.fullmatch(text)
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            raise UsageError(
                f"'{text}' is not a share of the tiles.", remedy="Type a number and a count, such as 3/16."
            )
        return cls(int(found[1]), int(found[2]))

    @property
    def name(self) -> str:
        """A name for files."""
        return f"{self.number}-of-{self.count}"

    def of(self, todo: Mapping[str, T], tiles: Iterable[str]) -> dict[str, T]:
        """Return the entries of the tiles in this share.

        Args:
            todo: what is to be done, by tile.
            tiles: all tiles of the plan, in an order that stays.
        """
        mine = [tile for number, tile in enumerate(tiles) if number % self.count == self.number - 1]
        return {tile: todo[tile] for tile in mine if tile in todo}


def require_quiet(dataset: Path) -> None:
    """Refuse to cut a share while another run changes the dataset, or after one that was killed while it did.

    Raises:
        UsageError: The lease of a run is there, or tables are about to be moved into place.
    """
    for name in (LOCK, PENDING_LIST):
        if (dataset / name).exists():
            raise UsageError(
                "Another run is changing the dataset, or was killed while it did.",
                dataset / name,
                "Wait until it ends, or run its command again. Then cut the share.",
            )
