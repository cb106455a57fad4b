"""Asking the R-tree of a dataset, as other tools do."""

from pathlib import Path

import numpy as np
import rtree.index

from spectralearth_build.store.index import Bounds, opened_index


def search(index: rtree.index.Index, bounds: Bounds) -> np.ndarray:
    """The rows whose boxes intersect bounds, ascending, without duplicates."""
    west, south, east, north = bounds
    halves = [bounds] if west <= east else [(west, south, 180.0, north), (-180.0, south, east, north)]
    found = [row for half in halves for row in index.intersection(half)]
    return np.unique(np.array(found, dtype=np.int64))


def query_index(folder: Path, bounds: Bounds) -> np.ndarray:
    """The rows of locations.parquet whose bounding boxes intersect bounds, ascending."""
    with opened_index(folder) as index:
        return search(index, bounds)
