"""Connected components of graphs, in whole-array steps; SciPy's module for graphs takes longer to import."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


def connected(edges: Ints, nodes: int) -> Ints:
    """The smallest node that each node is connected to, directly or through others.

    Args:
        edges: the two ends of each edge, [n, 2].
        nodes: number of nodes, which are numbered from 0.

    Returns:
        int64 [node]; nodes of a component have the same number.
    """
    least = np.arange(nodes)
    while True:
        ends = least[edges]
        apart = ends[:, 0] != ends[:, 1]
        if not apart.any():
            return least
        edges, ends = edges[apart], ends[apart]
        np.minimum.at(least, ends.max(axis=1), ends.min(axis=1))
        while (further := least[least] < least).any():  # each round doubles the distance
            least[further] = least[least[further]]
