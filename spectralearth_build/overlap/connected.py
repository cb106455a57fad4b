"""Connected components of graphs, in whole-array steps; SciPy's module for graphs takes longer to import."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


def connected(first: Ints, second: Ints, nodes: int) -> Ints:
    """The smallest node that each node is connected to, directly or through others.

    Args:
        first: one end of each edge.
        second: the other end of each edge.
        nodes: number of nodes, which are numbered from 0.

    Returns:
        int64 [node]; nodes of a component have the same number.
    """
    least = np.arange(nodes)
    while True:
        a, b = least[first], least[second]
        apart = a != b
        if not apart.any():
            return least
        first, second, a, b = first[apart], second[apart], a[apart], b[apart]
        np.minimum.at(least, np.maximum(a, b), np.minimum(a, b))
        while (further := least[least] < least).any():  # each round doubles the distance
            least[further] = least[least[further]]
