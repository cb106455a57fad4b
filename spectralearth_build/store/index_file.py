"""The boxes in the files of an R-tree, read as libspatialindex lays them out.

A query for everything would make one object per box; this reads millions in seconds. The first file lists the pages of
each node. The second holds the nodes: type, level and number of entries, then the entries, then the node's own box. An
entry is a box (west, south, east, north), an identifier and the length of attached data, which is 0.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spectralearth_build.layout import INDEX

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_HEAD, _OWN_BOX = 12, 32
_ENTRY = np.dtype([("box", "<f8", 4), ("id", "<i8"), ("length", "<u4")])
_LEAF = 2
_AT_ONCE = 1 << 12
"""Nodes that are in memory at a time."""


def read_entries(folder: Path, first: int, stop: int) -> tuple[Integers, Floats, int]:
    """Return the boxes of an index whose identifiers are in a range, and the number of all boxes.

    Args:
        folder: folder of the two files.
        first: smallest identifier.
        stop: one past the largest identifier.

    Returns:
        Identifiers, ascending, int64 [box], boxes, float64 [box, (west, south, east, north)], and how many boxes the
        whole index has.

    Raises:
        OSError: A file cannot be read.
        ValueError: The files are not a whole index.
    """
    listing, data = (folder / name for name in INDEX)
    parts, count = [np.empty(0, _ENTRY)], 0
    nodes, children = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for numbers, leaf, entries in _nodes(listing.read_bytes(), data):
        nodes.append(numbers)
        if leaf:
            flat = entries.ravel()
            parts.append(flat[(flat["id"] >= first) & (flat["id"] < stop)])
            count += len(flat)
        else:
            children.append(entries["id"].ravel())
    below, held = np.sort(np.concatenate(children)), np.sort(np.concatenate(nodes))
    roots = np.setdiff1d(held, below)
    if len(roots) != 1 or len(held) != len(below) + 1 or not np.isin(below, held).all():
        raise ValueError("nodes of the index are missing")
    found = np.concatenate(parts)
    order = np.argsort(found["id"], kind="stable")
    return found["id"][order], found["box"][order], count


def sorted_boxes(ids: Integers, boxes: Floats) -> tuple[Integers, Floats]:
    """Return boxes sorted by identifier, then by west, south, east and north."""
    order = np.lexsort((*boxes.T[::-1], ids))
    return ids[order], boxes[order]


def _nodes(listing: bytes, data: Path) -> Iterator[tuple[Integers, bool, npt.NDArray[Any]]]:
    """Yield numbers of nodes of one kind and size, whether they are leaves, and their entries, [node, entry]."""
    try:
        page, nodes = _listed(listing)
    except struct.error as error:
        raise ValueError(f"the index has no list of its nodes ({error})") from error
    with data.open("rb") as file:
        for (length, _), group in nodes.items():
            count, rest = divmod(length - _HEAD - _OWN_BOX, _ENTRY.itemsize)
            if rest:
                continue  # the header of the tree
            for first in range(0, len(group), _AT_ONCE):
                some = group[first : first + _AT_ONCE]
                raw = [b"".join(_page(file, place, page) for place in pages)[:length] for _, pages in some]
                if any(len(each) != length for each in raw):
                    raise ValueError("the index is cut short")
                yield from _of_kind(np.array([number for number, _ in some], np.int64), b"".join(raw), count)


def _of_kind(numbers: Integers, raw: bytes, count: int) -> Iterator[tuple[Integers, bool, npt.NDArray[Any]]]:
    kind = np.dtype([("head", "<u4", 3), ("entries", _ENTRY, (count,)), ("box", "<f8", 4)])
    nodes = np.frombuffer(raw, kind)
    if (nodes["head"][:, 2] != count).any():
        raise ValueError("a node of the index has another number of entries than its size")
    leaves = nodes["head"][:, 0] == _LEAF
    for leaf in (False, True):
        chosen = leaves == leaf
        if chosen.any():
            yield numbers[chosen], leaf, nodes["entries"][chosen]


def _page(file: Any, place: int, page: int) -> bytes:  # noqa: ANN401
    file.seek(place * page)
    found: bytes = file.read(page)
    return found


def _listed(listing: bytes) -> tuple[int, dict[tuple[int, int], list[tuple[int, tuple[int, ...]]]]]:
    """Return the size of a page, and number and pages of each node, by length in bytes and in pages."""
    page, _, empty = struct.unpack_from("<IqI", listing)
    place = 16 + 8 * empty
    (many,) = struct.unpack_from("<I", listing, place)
    place += 4
    nodes: dict[tuple[int, int], list[tuple[int, tuple[int, ...]]]] = {}
    for _ in range(many):
        number, length, pages = struct.unpack_from("<qII", listing, place)
        nodes.setdefault((length, pages), []).append(
            (number, struct.unpack_from(f"<{pages}q", listing, place + 16))
        )
        place += 16 + 8 * pages
    return page, nodes
