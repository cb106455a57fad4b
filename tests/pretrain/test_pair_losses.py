"""BYOL, SimSiam, Barlow Twins, VICReg and SwAV against loops that follow the papers, and closed forms."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cosine_similarity, normalize

from spectralearth_build.pretrain.objectives.heads import normed_mlp
from spectralearth_build.pretrain.objectives.losses import barlow, opposed, sinkhorn, vicreg
from tests.support.one_step import build


def pair(count=6, dim=4, seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=(count, dim)), random.normal(size=(count, dim))


def tensors(*arrays):
    return [torch.tensor(each) for each in arrays]


def test_opposed_is_the_squared_distance_of_directions():
    one, two = pair()
    units = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in (one, two)]
    expected = ((units[0] - units[1]) ** 2).sum(1).mean()
    assert float(opposed(*tensors(one, two))) == pytest.approx(expected, rel=1e-5)
    assert float(opposed(*tensors(one, 3 * one))) == pytest.approx(0, abs=1e-6)
    assert float(opposed(*tensors(one, -one))) == pytest.approx(4)


def test_barlow_follows_the_definition():
    one, two = pair()
    a, b = ((each - each.mean(0)) / each.std(0) for each in (one, two))
    expected = 0.0
    for i in range(4):
        for j in range(4):
            c = sum(a[n, i] * b[n, j] for n in range(6)) / 6
            expected += (1 - c) ** 2 if i == j else 0.005 * c**2
    assert float(barlow(*tensors(one, two), 0.005)) == pytest.approx(expected, rel=1e-4)


def test_barlow_of_equal_uncorrelated_views_is_nothing():
    same = torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])
    assert float(barlow(same, same, 1.0)) == pytest.approx(0, abs=1e-6)
    assert float(barlow(same, -same, 1.0)) == pytest.approx(8, rel=1e-4)


def test_vicreg_follows_the_definition():
    one, two = pair(dim=3)
    expected = 25 * np.mean((one - two) ** 2)
    for z in (one, two):
        for d in range(3):
            variance = sum((z[n, d] - z[:, d].mean()) ** 2 for n in range(6)) / 5
            expected += 25 / 3 * max(0.0, 1 - math.sqrt(variance + 1e-4))
            for e in range(3):
                if d != e:
                    products = [(z[n, d] - z[:, d].mean()) * (z[n, e] - z[:, e].mean()) for n in range(6)]
                    expected += (sum(products) / 5) ** 2 / 3
    assert float(vicreg(*tensors(one, two), 25, 25, 1)) == pytest.approx(expected, rel=1e-5)


def test_vicreg_of_one_vector_is_the_hinge_alone():
    """All samples equal: no difference, no covariance, a spread of 0.01."""
    same = torch.ones(5, 3)
    assert float(vicreg(same, same, 25, 25, 1)) == pytest.approx(2 * 25 * 0.99, rel=1e-4)


def test_sinkhorn_makes_clusters_of_equal_size():
    scores = torch.tensor(pair(40, 5, 2)[0])
    found = sinkhorn(scores, 0.5, 200)
    assert torch.allclose(found.sum(1), torch.ones(40), atol=1e-5)
    assert torch.allclose(found.sum(0), torch.full((5,), 8.0), atol=1e-3)


def test_sinkhorn_follows_the_definition():
    scores = pair(7, 3, 3)[0]
    q = np.exp(scores.T / 0.3)
    q /= q.sum()
    for _ in range(3):
        q = q / q.sum(1, keepdims=True) / 3
        q = q / q.sum(0, keepdims=True) / 7
    np.testing.assert_allclose(sinkhorn(torch.tensor(scores), 0.3, 3).numpy(), (q * 7).T, rtol=1e-4)


def test_a_head_is_what_its_name_says():
    torch.manual_seed(0)
    x = torch.randn(6, 4)
    for end, last in (
        ("norm", nn.BatchNorm1d(3)),
        ("fixed", nn.BatchNorm1d(3, affine=False)),
        ("linear", None),
    ):
        head = normed_mlp(4, 5, 3, end=end)
        layers = [
            nn.Linear(4, 5, bias=False),
            nn.BatchNorm1d(5),
            nn.ReLU(),
            nn.Linear(5, 3, bias=last is None),
        ]
        reference = nn.Sequential(*layers, *([] if last is None else [last]))
        reference.load_state_dict(head.state_dict())
        assert torch.equal(head(x.clone()), reference(x)), end


def images():
    torch.manual_seed(1)
    return torch.randn(2, 6, 80, 8, 8).unbind(0)


def test_byol_predicts_the_target_of_the_other_view():
    made = build("byol")
    one, two = images()
    found = made.loss(one, two)
    expected = 0.0
    for a, b in ((one, two), (two, one)):
        predicted = made.predict(made.head(made.encoder(a)))
        target = made.target_head(made.target(b))
        expected += (2 - 2 * cosine_similarity(predicted, target)).mean()
    torch.testing.assert_close(found, expected)
    found.backward()
    assert all(value.grad is None for value in (*made.target.parameters(), *made.target_head.parameters()))


def test_the_target_of_byol_is_a_moving_average_and_stops_at_the_end():
    made = build("byol")
    start, theirs = made.target.embed.weight.clone(), made.encoder.embed.weight
    with torch.no_grad():
        theirs.add_(1)
    made.after_step(0.0)
    assert torch.allclose(made.target.embed.weight, start + 1 - made.config.momentum, atol=1e-6)
    now = made.target.embed.weight.clone()
    made.after_step(1.0)
    assert torch.equal(made.target.embed.weight, now)


def test_no_gradient_flows_through_the_target_of_simsiam():
    made = build("simsiam")
    one, two = images()
    found = made.loss(one, two)
    z, q = made.head(made.encoder(one)), made.head(made.encoder(two))
    p, r = made.predict(z), made.predict(q)
    expected = -(cosine_similarity(p, q.detach()).mean() + cosine_similarity(r, z.detach()).mean()) / 2
    torch.testing.assert_close(found, expected)
    ours, theirs = (torch.autograd.grad(loss, made.encoder.embed.weight)[0] for loss in (found, expected))
    torch.testing.assert_close(ours, theirs)


def test_swav_predicts_the_clusters_of_the_other_views():
    made = build("swav")
    one, two = images()
    local = one[:, :, :4, :4]
    found = made.loss([one, two], [local])
    scores = [
        normalize(made.head(made.encoder(view))) @ normalize(made.prototypes).T for view in (one, two, local)
    ]
    codes = [sinkhorn(each, 0.05, 3) for each in scores[:2]]
    terms = [-(codes[i] * torch.log_softmax(scores[j] / 0.1, 1)).sum(1).mean() for i in range(2) for j in range(3)
             if i != j]  # fmt: skip
    torch.testing.assert_close(found, torch.stack(terms).mean())
    found.backward()
    made.before_step(0.0)
    assert made.prototypes.grad is None
