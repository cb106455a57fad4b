"""Parts that compute their intermediate results again give the same numbers and keep less."""

import copy

import pytest
import torch
from torch import nn

from spectralearth_build.pretrain.encoders import Architecture, build
from spectralearth_build.pretrain.encoders.vit import SIZES
from spectralearth_build.pretrain.objectives.split_norm import split_norms
from spectralearth_build.pretrain.recompute import recompute
from spectralearth_build.pretrain.setup import prepare


@pytest.fixture(params=["vit_s", "resnet18", "swin_t", "resnet18 split"])
def encoder(request, monkeypatch):
    monkeypatch.setitem(SIZES, "s", (24, 3, 3))
    torch.manual_seed(0)
    made = build(Architecture(request.param.split()[0], 80, patch=4, image=16)).train()
    if "split" in request.param:
        split_norms(made, 2)
    return made


def step(network, images):
    """Output, gradients, and bytes that were kept for the gradient besides the parameters."""
    own, kept = {value.data_ptr() for value in network.parameters()}, []

    def keep(value):
        if value.data_ptr() not in own:
            kept.append(value.numel() * value.element_size())
        return value

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        out = network(images)
    out.square().sum().backward()
    return out.detach(), [value.grad for value in network.parameters()], sum(kept)


@pytest.mark.parametrize("parts", ["adapter", "all"])
def test_outputs_gradients_and_statistics_are_the_same(encoder, parts):
    images = torch.randn(4, 80, 16, 16)
    other = copy.deepcopy(encoder)
    assert recompute(other, parts) >= (1 if parts == "adapter" else 4)
    for _ in range(2):
        expected, found = step(encoder, images), step(other, images)
        assert torch.equal(found[0], expected[0])
        for ours, theirs in zip(found[1], expected[1], strict=True):
            assert (ours is None) == (theirs is None)
            assert ours is None or torch.equal(ours, theirs)
    for name, value in encoder.state_dict().items():
        assert torch.equal(other.state_dict()[name], value), name
    other.eval()
    encoder.eval()
    assert torch.equal(other(images), encoder(images))


def test_less_is_kept(encoder):
    images = torch.randn(4, 80, 16, 16)
    kept = {}
    for parts in ("none", "adapter", "all"):
        other = copy.deepcopy(encoder)
        recompute(other, parts)
        kept[parts] = step(other, images)[2]
    assert kept["all"] < kept["adapter"] < kept["none"]
    assert kept["all"] < 0.5 * kept["none"]


def test_split_norms_keep_the_precision_of_activations():
    images = torch.randn(4, 3, 8, 8)
    network = nn.Sequential(nn.BatchNorm2d(3)).train()
    nn.init.normal_(network[0].weight)
    split_norms(network, 2)
    assert network(images.bfloat16()).dtype == torch.bfloat16
    parts = [nn.functional.batch_norm(images[k::2], None, None, network[0].weight, network[0].bias, True)
             for k in range(2)]  # fmt: skip
    expected = torch.stack(parts, 1).flatten(0, 1)
    torch.testing.assert_close(network(images), expected)


def test_a_run_that_recomputes_ends_with_the_same_weights(dataset, settings, tmp_path):
    ends = {}
    for parts in ("none", "all"):
        run = prepare(dataset.folder, tmp_path / parts, settings("dino", steps=2, recompute=parts))
        run.train(lambda *_: None)
        ends[parts] = run.objective.state_dict()
    assert list(ends["all"]) == list(ends["none"])
    assert all(torch.equal(value, ends["none"][name]) for name, value in ends["all"].items())
