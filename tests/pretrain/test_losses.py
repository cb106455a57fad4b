"""Against closed forms and loops that follow the papers word by word."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spectralearth_build.pretrain.objectives.losses import dino, info_nce, masked_error, nt_xent


@pytest.mark.parametrize("n", [2, 5, 64])
def test_nt_xent_of_equal_embeddings(n):
    same = torch.ones(n, 8)
    assert float(nt_xent(same, same, 0.07)) == pytest.approx(math.log(2 * n - 1), rel=1e-6)


def nt_xent_by_loops(a, b, temperature, places):
    z = np.concatenate([a, b]).astype(float)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    n, total = len(a), 0.0
    for i in range(2 * n):
        partner = (i + n) % (2 * n)
        others = [k for k in range(2 * n) if k != i and (k == partner or places[k % n] != places[i % n])]
        total -= z[i] @ z[partner] / temperature - math.log(
            sum(math.exp(z[i] @ z[k] / temperature) for k in others)
        )
    return total / (2 * n)


@given(
    st.lists(st.integers(0, 3), min_size=2, max_size=7),
    st.integers(0, 1000),
    st.sampled_from([0.07, 0.2, 1.0]),
)
def test_nt_xent_follows_the_definition(places, seed, temperature):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, len(places), 6))
    found = nt_xent(torch.tensor(a), torch.tensor(b), temperature, torch.tensor(places))
    assert float(found) == pytest.approx(nt_xent_by_loops(a, b, temperature, places), rel=1e-4)
    unmasked = nt_xent(torch.tensor(a), torch.tensor(b), temperature)
    distinct = nt_xent_by_loops(a, b, temperature, range(len(places)))
    assert float(unmasked) == pytest.approx(distinct, rel=1e-4)


def test_nt_xent_of_all_ranks_is_the_mean_of_each():
    a, b, places = torch.randn(6, 4), torch.randn(6, 4), torch.tensor([0, 1, 1, 2, 3, 0])
    parts = [nt_xent(a, b, 0.1, places, rank, 3) for rank in range(3)]
    torch.testing.assert_close(torch.stack(parts).mean(), nt_xent(a, b, 0.1, places))


def test_info_nce_follows_the_definition():
    rng = np.random.default_rng(3)
    q, k, queue = (rng.normal(size=(n, 5)) for n in (4, 4, 9))
    q, k, queue = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (q, k, queue))
    same = rng.random((4, 9)) < 0.3
    expected = np.mean([
        -math.log(
            math.exp(q[i] @ k[i] / 0.1)
            / (math.exp(q[i] @ k[i] / 0.1) + sum(math.exp(q[i] @ queue[j] / 0.1) for j in range(9) if not same[i, j]))
        )
        for i in range(4)
    ])  # fmt: skip
    found = info_nce(*(torch.tensor(x) for x in (q, k, queue)), 0.1, torch.tensor(same))
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_dino_follows_the_definition():
    rng = np.random.default_rng(4)
    student, teacher = rng.normal(size=(4, 3, 6)), rng.random((2, 3, 6))
    teacher /= teacher.sum(2, keepdims=True)

    def log_softmax(x):
        return x - np.log(np.exp(x).sum(-1, keepdims=True))

    pairs = [(t, s) for t in range(2) for s in range(4) if s != t]
    expected = np.mean([-(teacher[t] * log_softmax(student[s] / 0.1)).sum(1).mean() for t, s in pairs])
    found = dino([torch.tensor(x) for x in student], [torch.tensor(x) for x in teacher], 0.1)
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_masked_error_normalises_each_patch():
    target = torch.randn(2, 3, 50) * torch.tensor([1.0, 40.0, 0.1])[None, :, None] + 5
    mean, std = target.mean(-1, keepdim=True), target.std(-1, keepdim=True)
    torch.testing.assert_close(
        masked_error((target - mean) / std, target), torch.tensor(0.0), atol=1e-4, rtol=0
    )
    assert float(masked_error(target + 2, target, normalised=False)) == pytest.approx(4.0, rel=1e-5)
