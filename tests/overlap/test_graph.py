"""Components and edges against pairwise brute force."""

from itertools import combinations

import networkx as nx
import numpy as np
import shapely
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spectralearth_build.overlap.graph import components, shared_windows
from spectralearth_build.overlap.lattice import Box
from spectralearth_build.overlap.region import Region

CORNERS = st.tuples(st.integers(0, 12), st.integers(0, 12))


@given(st.lists(CORNERS, min_size=1, max_size=9))
def test_components_are_those_of_all_touching_pairs(corners):
    squares = [shapely.box(x / 4, y / 4, x / 4 + 0.3, y / 4 + 0.3) for x, y in corners]
    graph = nx.Graph()
    graph.add_nodes_from(range(len(squares)))
    graph.add_edges_from(
        (i, j) for i, j in combinations(range(len(squares)), 2) if squares[i].intersects(squares[j])
    )
    assert components(squares) == sorted(sorted(group) for group in nx.connected_components(graph))


def test_neighbours_across_the_antimeridian_touch_and_greenwich_is_far():
    east, west, greenwich = (
        shapely.box(179.5, 0, 180, 1),
        shapely.box(-180, 0, -179.6, 1),
        shapely.box(0, 0, 1, 1),
    )
    assert components([east, greenwich, west]) == [[0, 2], [1]]


@given(st.lists(st.tuples(hnp.arrays(np.bool_, (6, 7)), st.sampled_from("ABC")), max_size=6))
def test_shared_windows_are_common_anchors_of_different_datatakes(tiles):
    masks, datatakes = [m for m, _ in tiles], [d for _, d in tiles]
    expected = {
        (i, j): int((masks[i] & masks[j]).sum())
        for i, j in combinations(range(len(tiles)), 2)
        if datatakes[i] != datatakes[j] and (masks[i] & masks[j]).any()
    }
    regions = [Region.from_mask(m, Box(0, 0, 6, 7)) for m in masks]
    assert shared_windows(regions, [f"t{i}" for i in range(len(tiles))], datatakes) == expected
