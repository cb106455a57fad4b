import networkx as nx
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from spectralearth_build.split.groups import FREE, divided, spread


def bond_of(graph):
    return sparse.csr_array(nx.to_scipy_sparse_array(graph, dtype=np.int64))


def test_labels_follow_the_strongest_bonds():
    graph = nx.Graph()
    graph.add_weighted_edges_from([(0, 1, 5), (1, 2, 5), (2, 3, 1), (3, 4, 5), (4, 5, 5), (6, 7, 1)])
    label = spread(bond_of(graph), np.array([0, FREE, FREE, FREE, FREE, 1, FREE, FREE]))
    assert label.tolist() == [0, 0, 0, 1, 1, 1, FREE, FREE]  # nothing leads to the last two


def test_what_has_a_label_keeps_it():
    label = np.array([1, 0, 1, 0])
    assert spread(bond_of(nx.complete_graph(4)), label).tolist() == label.tolist()


@settings(deadline=None, max_examples=30)
@given(st.integers(4, 9), st.integers(4, 9), st.permutations(range(16)))
def test_pieces_of_a_grid_are_compact(width, height, some):
    graph = nx.convert_node_labels_to_integers(nx.grid_2d_graph(width, height))
    sizes = np.ones(len(graph), np.int64)
    order = [node for node in some if node < len(graph)]
    label = divided(bond_of(graph), sizes, {1: 0.25 * len(graph)}, order, 0)
    piece = np.flatnonzero(label == 1)
    assert abs(len(piece) - 0.25 * len(graph)) <= 1
    assert nx.is_connected(graph.subgraph(piece.tolist()))
    # A square anywhere has a border of 4 sqrt(area); whatever is grown should not have much more.
    assert nx.cut_size(graph, piece.tolist()) <= 4 * np.sqrt(len(piece)) + 3
