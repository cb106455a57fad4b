"""Distances against scipy's transforms, weights against their formula, the loss against torch's."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import distance_transform_cdt, distance_transform_edt
from torch.nn.functional import cross_entropy

from spectralearth_build.evaluate.boundary import boundary_distance, boundary_loss, boundary_weights
from spectralearth_build.labels.classes import IGNORE


def blobs(seed, classes=3, size=48):
    """Smooth patches of ground, as of a map, [2, size, size]."""
    coarse = torch.rand(2, classes, 6, 6, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size, mode="bilinear").argmax(1).to(torch.uint8)


def by_scipy(truth, transform):
    """Distance of each pixel to the nearest one of another class, class by class; infinite where there is none."""
    out = np.full(truth.shape, np.inf)
    for image, distance in zip(truth, out, strict=True):
        for each in set(np.unique(image)) - {IGNORE}:
            other = (image != each) & (image != IGNORE)
            if other.any():
                distance[image == each] = transform(~other)[image == each]
    return out


@given(arrays(np.uint8, (2, 9, 7), elements=st.sampled_from([0, 0, 1, 2, IGNORE])))
def test_distances_equal_scipys_with_many_classes_and_ignored_pixels(truth):
    found = boundary_distance(torch.from_numpy(truth), 12).numpy()
    np.testing.assert_allclose(found, by_scipy(truth, distance_transform_edt), rtol=1e-6)


@pytest.mark.parametrize("reach", [1, 3, 8])
def test_distances_are_exact_up_to_their_reach_and_infinite_beyond(reach):
    truth = blobs(3)
    expected = by_scipy(truth.numpy(), distance_transform_edt)
    expected[expected > reach] = np.inf
    np.testing.assert_allclose(boundary_distance(truth, reach).numpy(), expected, rtol=1e-6)
    assert np.isinf(expected).any()


def test_distances_lie_between_those_of_king_and_rook():
    truth = blobs(4, classes=2)
    found = boundary_distance(truth, 48).numpy()
    assert (found >= by_scipy(truth.numpy(), lambda m: distance_transform_cdt(m, "chessboard")) - 1e-5).all()
    assert (found <= by_scipy(truth.numpy(), lambda m: distance_transform_cdt(m, "taxicab")) + 1e-5).all()


@pytest.mark.parametrize("deviation", [1.0, 2.0, 5.0])
def test_weights_are_those_of_scipys_distances(deviation):
    truth = blobs(5)
    truth[:, :4] = IGNORE
    distance = by_scipy(truth.numpy(), distance_transform_edt)
    expected = 1 + 10 * np.exp(-((distance - 1) ** 2) / (2 * deviation**2))
    expected[truth.numpy() == IGNORE] = 0
    found = boundary_weights(truth, 10.0, deviation)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), expected, atol=10 * math.exp(-8) * 1.01)


def test_a_single_class_has_no_border_and_the_image_ends_in_none():
    assert torch.equal(boundary_weights(torch.zeros(1, 8, 8, dtype=torch.uint8), 5.0), torch.ones(1, 8, 8))
    half = torch.zeros(1, 4, 8, dtype=torch.uint8)
    half[:, :, 4:] = 1
    weights = boundary_weights(half, 5.0)
    assert torch.equal(weights, weights.flip(2))
    assert weights[0, 0, 3] == 6.0
    assert torch.equal(weights[0, 0], weights[0, 3])
    assert (weights[0, 0, :4].diff() > 0).all()


def test_without_strength_the_loss_is_the_usual_one():
    truth = blobs(6)
    truth[:, 10:20] = IGNORE
    scores = torch.randn(2, 3, 48, 48)
    torch.testing.assert_close(
        boundary_loss(scores, truth, 0.0), cross_entropy(scores, truth.long(), ignore_index=IGNORE)
    )


def test_an_error_at_a_border_costs_more_than_one_within():
    truth = torch.zeros(1, 16, 16, dtype=torch.uint8)
    truth[:, :, 8:] = 1
    perfect = 5.0 * torch.stack([truth == 0, truth == 1], 1).float()
    at_border, within = perfect.clone(), perfect.clone()
    at_border[0, :, 5, 7], within[0, :, 5, 0] = perfect[0, :, 5, 7].flip(0), perfect[0, :, 5, 0].flip(0)
    assert boundary_loss(at_border, truth, 0.0) == pytest.approx(float(boundary_loss(within, truth, 0.0)))
    ratio = boundary_loss(at_border, truth, 5.0) / boundary_loss(within, truth, 5.0)
    assert 3 < ratio < 6


def test_an_unlabelled_batch_costs_nothing_and_breaks_nothing():
    scores = torch.randn(1, 3, 8, 8, requires_grad=True)
    loss = boundary_loss(scores, torch.full((1, 8, 8), IGNORE, dtype=torch.uint8), 2.0)
    loss.backward()
    assert loss == 0
    assert torch.equal(scores.grad, torch.zeros_like(scores))
