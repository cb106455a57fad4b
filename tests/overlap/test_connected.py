"""Connected components against networkx."""

import networkx as nx
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spectralearth_build.overlap.connected import connected

NODES = 12
EDGES = st.lists(st.tuples(st.integers(0, NODES - 1), st.integers(0, NODES - 1)), max_size=14)


@given(EDGES)
def test_each_node_gets_the_smallest_node_of_its_component(edges):
    graph = nx.Graph(edges)
    graph.add_nodes_from(range(NODES))
    found = connected(np.array(edges, np.int64).reshape(-1, 2), NODES)
    for part in nx.connected_components(graph):
        assert {*found[sorted(part)].tolist()} == {min(part)}
    assert len(found) == NODES


def test_a_long_chain_in_any_order():
    order = np.random.default_rng(0).permutation(5_000)
    assert (connected(np.stack([order[:-1], order[1:]], axis=1), 5_000) == 0).all()
