import math

import numpy as np
import pytest
import torch

from spectralearth_build.pretrain.monitors import Recent, diagnosis, feature_std, rank_me
from spectralearth_build.pretrain.probe import ridge


def test_spread_is_one_on_the_sphere_and_zero_at_a_point():
    torch.manual_seed(0)
    assert feature_std(torch.randn(4000, 64)) == pytest.approx(1.0, abs=0.02)
    assert feature_std(torch.ones(100, 64)) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("rank", [1, 3, 8])
def test_rank_of_equal_singular_values_is_their_number(rank):
    basis = torch.linalg.qr(torch.randn(32, rank))[0]
    assert rank_me(basis @ torch.linalg.qr(torch.randn(16, rank))[0].T) == pytest.approx(rank, rel=1e-3)


def test_rank_follows_the_definition():
    x = np.random.default_rng(0).normal(size=(20, 7))
    p = np.linalg.svd(x, compute_uv=False)
    p /= p.sum()
    assert rank_me(torch.tensor(x)) == pytest.approx(math.exp(-(p * np.log(p)).sum()), rel=1e-3)


def test_a_linear_probe_finds_a_linear_rule():
    torch.manual_seed(2)
    x = torch.randn(400, 10)
    y = (x[:, 3] > 0).long()
    assert ridge(x[:200], y[:200], x[200:], y[200:]) > 0.9


def solved(x, y, penalty):
    """Ridge regression with a free intercept by least squares, as a function of features."""
    mean, centre = x.mean(0), y.mean(0)
    tall = np.vstack([x - mean, np.sqrt(penalty) * np.eye(x.shape[1])])
    weights = np.linalg.lstsq(tall, np.vstack([y - centre, np.zeros((x.shape[1], y.shape[1]))]), rcond=None)[
        0
    ]
    return lambda asked: (asked - mean) @ weights + centre


@pytest.mark.parametrize("dim", [4, 60])
@pytest.mark.parametrize("seed", range(4))
def test_a_linear_probe_is_ridge_regression_with_the_penalty_that_errs_least_on_left_out_samples(seed, dim):
    """Every sample left out in turn and everything solved anew; fewer samples than dimensions, too."""
    rng = np.random.default_rng(seed)
    labels, truth = rng.integers(0, 3, 30), rng.integers(0, 3, 200)
    places = rng.normal(size=(3, dim))
    known, asked = (places[each] + 1.5 * rng.normal(size=(len(each), dim)) for each in (labels, truth))
    scale = np.sqrt(((known - known.mean(0)) ** 2).mean())
    x, y, one_hot = (known - known.mean(0)) / scale, (asked - known.mean(0)) / scale, np.eye(3)[labels]
    penalties = (0.1, 1.0, 10.0, 100.0, 1000.0)

    def error(penalty):
        rest = [np.arange(30) != out for out in range(30)]
        return sum(
            ((solved(x[kept], one_hot[kept], penalty)(x[~kept]) - one_hot[~kept]) ** 2).sum() for kept in rest
        )

    best = min(penalties, key=error)
    expected = (solved(x, one_hot, best)(y).argmax(1) == truth).mean()
    tensors = [torch.tensor(each) for each in (known, labels, asked, truth)]
    assert ridge(*tensors, penalties) == pytest.approx(expected)
    others = {ridge(*tensors, (penalty,)) for penalty in penalties}
    assert len(others) > 1  # the choice matters


def test_recent_features_are_the_last_ones():
    recent = Recent(4)
    assert recent.figures() == {}
    for value in range(3):
        recent.add(torch.full((2, 3), float(value)))
    assert recent.features[:, 0].tolist() == [1, 1, 2, 2]


@pytest.mark.parametrize(
    ("figures", "cause"),
    [
        ({"teacher_entropy": 0.01, "feature_std": 0.9}, "one prototype"),
        ({"teacher_entropy": math.log(64) * 0.99, "feature_std": 0.9}, "uniform"),
        ({"feature_std": 0.01}, "same feature"),
        ({"feature_std": 0.5, "rank": 1.1}, "one line"),
    ],
)
def test_a_collapse_is_named(figures, cause):
    assert cause in diagnosis(figures, 64)


def test_health_is_no_collapse():
    assert diagnosis({"feature_std": 0.8, "rank": 20.0, "teacher_entropy": 2.0}, 64) is None
