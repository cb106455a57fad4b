"""Votes of nearest neighbours against loops."""

import pytest
import torch
from torch.nn.functional import one_hot

from spectralearth_build.pretrain import neighbours
from spectralearth_build.pretrain.neighbours import Neighbours, k_nearest
from tests.support.neighbours_by_loops import nearest_by_loops


@pytest.mark.parametrize("at_once", [4, 4096])
def test_neighbours_vote_as_defined(at_once, monkeypatch):
    monkeypatch.setattr(neighbours, "AT_ONCE", at_once)
    torch.manual_seed(1)
    known, asked = torch.randn(40, 5), torch.randn(15, 5)
    labels, truth = torch.randint(0, 4, (40,)), torch.randint(0, 4, (15,))
    expected = nearest_by_loops(known.numpy(), labels.numpy(), asked.numpy(), truth.numpy(), 7, 0.07)
    assert k_nearest(known, labels, asked, truth, 7) == pytest.approx(expected)
    torch.testing.assert_close(Neighbours(known, one_hot(labels, 4), 7)(asked).sum(1), torch.ones(15))


def test_votes_for_several_labels_are_shares_of_the_neighbours():
    known = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    targets = torch.tensor([[True, True, False], [True, False, False], [False, False, True]])
    votes = Neighbours(known, targets, k=2)(torch.tensor([[2.0, 0.0]]))
    torch.testing.assert_close(votes, torch.tensor([[1.0, 0.5, 0.0]]))
    assert Neighbours(known, targets, k=20)(known).shape == (3, 3)
