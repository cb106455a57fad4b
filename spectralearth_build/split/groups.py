"""Groups of datatakes that must stay together, and how to divide groups that are too large."""

from __future__ import annotations

import heapq
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from spectralearth_build.split.links import BUFFER, COMPONENT, DATATAKE, TOUCHING, Codes, Links, Matrix

FREE = -1
"""Number for patches and datatakes that are in no part."""
TRIES = 16
"""Number of starting datatakes from which to grow a piece; the best piece is kept."""


def datatakes(links: Links) -> Codes:
    """The number of each patch's datatake, in order of their names."""
    return np.asarray(links.ties[DATATAKE].members.indices, np.int64)


def bonds(links: Links) -> Matrix:
    """Strength of ties between datatakes: the number of pairs of touching tiles and of equal or close locations."""
    of_datatake = links.ties[DATATAKE].members.T
    total = sparse.csr_array((of_datatake.shape[0], of_datatake.shape[0]), dtype=np.int64)
    for kind in (TOUCHING, BUFFER):
        tie = links.ties[kind]
        things = (of_datatake @ tie.members).sign()
        total = total + things @ tie.related @ things.T
    total = total.tocoo()
    apart = total.row != total.col
    return sparse.csr_array((total.data[apart], (total.row[apart], total.col[apart])), total.shape)


def groups(links: Links, bond: Matrix) -> Codes:
    """The group of each datatake: datatakes with bonds or common components, directly or through others."""
    things = (links.ties[DATATAKE].members.T @ links.ties[COMPONENT].members).sign()
    return np.asarray(connected_components(bond + things @ things.T, directed=False)[1], np.int64)


def spread(bond: Matrix, label: Codes) -> Codes:
    """Assign a part to every datatake that is tied to an assigned one, strongest bonds first.

    Args:
        bond: bonds between datatakes, from `bonds`.
        label: part of each datatake, or `FREE`.
    """
    label = label.copy()
    pull = np.zeros((len(label), label.max(initial=FREE) + 1), np.int64)
    heap: list[tuple[int, int]] = []

    def pull_from(node: int) -> None:
        row = slice(bond.indptr[node], bond.indptr[node + 1])
        for other, weight in zip(bond.indices[row].tolist(), bond.data[row].tolist(), strict=True):
            if label[other] == FREE:
                pull[other, label[node]] += weight
                heapq.heappush(heap, (-int(pull[other].max()), other))

    for node in np.flatnonzero(label != FREE).tolist():
        pull_from(node)
    while heap:
        weight, node = heapq.heappop(heap)
        if label[node] == FREE and -weight == pull[node].max():
            label[node] = int(pull[node].argmax())
            pull_from(node)
    return label


def divided(bond: Matrix, sizes: Codes, wanted: dict[int, float], order: Iterable[int], rest: int) -> Codes:
    """Divide a group into pieces of wanted sizes with few bonds to the outside, and the rest.

    Args:
        bond: bonds between the datatakes of the group.
        sizes: number of patches of each datatake.
        wanted: number of patches of each piece, by its part.
        order: datatakes, in the order in which they are tried as starting points.
        rest: part of all other datatakes.

    Returns:
        The part of each datatake.
    """
    label, order = np.full(len(sizes), FREE), list(order)
    for part, size in sorted(wanted.items(), key=lambda item: (item[1], item[0])):
        seeds = [node for node in order if label[node] == FREE][:TRIES]
        pieces = [_grown(bond, sizes, size, seed, label == FREE) for seed in seeds if size > 0]
        if pieces:
            label[min(pieces, key=lambda piece: _badness(bond, sizes, size, piece))] = part
    return np.where(label == FREE, rest, label)


def _grown(
    bond: Matrix, sizes: Codes, wanted: float, seed: int, free: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Grow a piece from a datatake, adding first the datatakes with the largest share of their bonds into the piece."""
    inside, held = np.zeros(len(sizes), bool), 0
    into, total = np.zeros(len(sizes), np.int64), bond.sum(axis=1)
    heap = [(0.0, seed)]
    while heap and held < wanted:
        share, node = heapq.heappop(heap)
        stale = inside[node] or (held and -share != into[node] / total[node])
        if stale or (held and held + sizes[node] - wanted > wanted - held):
            continue
        inside[node], held = True, held + sizes[node]
        row = slice(bond.indptr[node], bond.indptr[node + 1])
        for other, weight in zip(bond.indices[row].tolist(), bond.data[row].tolist(), strict=True):
            if free[other] and not inside[other]:
                into[other] += weight
                heapq.heappush(heap, (-into[other] / total[other], other))
    return inside


def _badness(bond: Matrix, sizes: Codes, wanted: float, piece: npt.NDArray[np.bool_]) -> tuple[float, int]:
    """Deviation of a piece from the wanted size, rounded to tenths of it, then the number of bonds to the outside."""
    off = abs(int(sizes[piece].sum()) - wanted) / wanted
    return round(off, 1), int(bond[piece].sum() - bond[piece][:, piece].sum())
