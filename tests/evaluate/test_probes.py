"""Closed forms against a least-squares solver and loops."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spectralearth_build.evaluate import probes
from spectralearth_build.evaluate.probes import Ridge, places, presence
from spectralearth_build.labels.classes import IGNORE


def samples(seed, count=60, dim=5, classes=4):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (count,), generator=generator)
    middles = torch.randn(classes, dim, generator=generator)
    features = middles[labels] + 0.8 * torch.randn(count, dim, generator=generator) + 1000.0
    return features, labels


@pytest.mark.parametrize("seed", range(3))
def test_ridge_in_batches_is_ridge_at_once(seed, monkeypatch):
    features, labels = samples(seed)
    whole, parts = Ridge(5, 4), Ridge(5, 4)
    whole.add(features, presence(labels, 4))
    monkeypatch.setattr(probes, "ADDED_AT_ONCE", 8)
    for part in zip(features.split(17), presence(labels, 4).split(17), strict=True):
        parts.add(*part)
    expected, found = whole.solve(0.1), parts.solve(0.1)
    torch.testing.assert_close(found.weights, expected.weights)
    torch.testing.assert_close(found(features), expected(features))


@given(st.integers(0, 1000), st.sampled_from([0.01, 1.0, 50.0]), st.booleans())
def test_ridge_equals_least_squares_with_rows_for_the_penalty(seed, penalty, weighted):
    """Rows sqrt(penalty) x I below standardised, centred features; numpy solves."""
    generator = np.random.default_rng(seed)
    x, y = generator.normal(3, 2, (30, 4)), generator.random((30, 3))
    weights = generator.integers(0, 3, 30).astype(float) if weighted else np.ones(30)
    many = np.repeat(np.arange(30), weights.astype(int))  # whole weights are repetitions
    mean, std = x[many].mean(0), x[many].std(0, ddof=1)
    left = np.vstack([(x[many] - mean) / std, np.sqrt(penalty) * np.eye(4)])
    right = np.vstack([y[many] - y[many].mean(0), np.zeros((4, 3))])
    expected = (x - mean) / std @ np.linalg.lstsq(left, right, rcond=None)[0] + y[many].mean(0)
    probe = Ridge(4, 3)
    probe.add(torch.from_numpy(x), torch.from_numpy(y), torch.from_numpy(weights) if weighted else None)
    np.testing.assert_allclose(probe.solve(penalty)(torch.from_numpy(x)).numpy(), expected, atol=1e-8)


def test_a_feature_that_never_varies_does_no_harm():
    known, labels = samples(0)
    known[:, 2] = 7.0
    probe = Ridge(5, 4)
    probe.add(known, presence(labels, 4))
    assert torch.isfinite(probe.solve()(known)).all()


def test_two_samples_are_the_least():
    probe = Ridge(3, 2)
    with pytest.raises(ValueError, match="two samples"):
        probe.solve()
    probe.add(torch.randn(1, 3), torch.ones(1, 2))
    with pytest.raises(ValueError, match="two samples"):
        probe.solve()


def test_places_of_a_map_have_the_classes_below_them():
    generator = np.random.default_rng(0)
    truth = generator.choice([0, 1, 2, IGNORE], (2, 8, 12)).astype(np.uint8)
    truth[0, :4, :4] = IGNORE
    features = torch.randn(2, 5, 2, 3)
    x, shares, weight = places(features, torch.from_numpy(truth), 3)
    at = 0
    for image in range(2):
        for line in range(2):
            for column in range(3):
                below = truth[image, 4 * line : 4 * line + 4, 4 * column : 4 * column + 4]
                labelled = below[below != IGNORE]
                assert torch.equal(x[at], features[image, :, line, column])
                assert float(weight[at]) == len(labelled) / 16
                expected = [np.mean(labelled == each) if len(labelled) else 0.0 for each in range(3)]
                assert shares[at].tolist() == pytest.approx(expected)
                at += 1
    assert at == len(x)


def test_a_segmentation_probe_finds_the_map():
    """Classes that are linear in the features are found at every place, with pixels left out."""
    torch.manual_seed(0)
    truth = torch.randint(3, (6, 4, 4))
    features = torch.nn.functional.one_hot(truth, 3).movedim(-1, 1).float() + 0.1 * torch.randn(6, 3, 4, 4)
    pixels = truth.repeat_interleave(4, 1).repeat_interleave(4, 2).to(torch.uint8)
    pixels[torch.rand(pixels.shape) < 0.3] = IGNORE
    probe = Ridge(3, 3)
    probe.add(*places(features, pixels, 3))
    found = probe.solve().maps(features, (4, 4)).argmax(1)
    assert torch.equal(found, truth)
    assert probe.solve().maps(features, (16, 16)).shape == (6, 3, 16, 16)
