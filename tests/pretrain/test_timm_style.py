"""The interface of timm's networks, against networks of SpectralEarth's architecture, which have timm's layers."""

import pytest
import torch

import spectralearth_build as se
from spectralearth_build.errors import UsageError
from spectralearth_build.pretrain.encoders import Architecture, build
from spectralearth_build.pretrain.encoders.resnet import SpectralResNet
from spectralearth_build.pretrain.encoders.vit import SpectralViT
from spectralearth_build.pretrain.published.names import published_name, published_shape
from spectralearth_build.pretrain.setup import spectra_of
from spectralearth_build.pretrain.timm_style import TimmStyle
from spectralearth_build.pretrain.weights import load_encoder, save_encoder
from tests.support import published_networks as published


def same_weights(theirs, ours):
    state = {
        name: theirs.state_dict()[published_name(name)].reshape(value.shape)
        for name, value in ours.state_dict().items()
        if published_shape(name, tuple(value.shape)) == tuple(theirs.state_dict()[published_name(name)].shape)
    }
    ours.load_state_dict(state, strict=True)
    return ours.eval()


@pytest.fixture(scope="module")
def vits():
    theirs = published.shaken(published.SpecVisionTransformer(32, 8, 24, 4, 3))
    return theirs, TimmStyle(same_weights(theirs, SpectralViT(80, (24, 4, 3), 8, 32)))


@pytest.fixture(scope="module")
def resnets():
    theirs = published.shaken(published.SpecResNet50())
    return theirs, TimmStyle(same_weights(theirs, SpectralResNet(80)))


def close(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=5e-6)


@torch.inference_mode()
def test_a_vit_gives_tokens_vectors_and_maps_of_blocks(vits):
    theirs, ours = vits
    x = torch.randn(2, 80, 32, 48)
    blocks = []
    for block in theirs.vit_core.blocks:
        block.register_forward_hook(lambda _, __, out: blocks.append(out))
    tokens = theirs.vit_core.tokens(theirs.spectral_adapter(x))
    close(ours.forward_features(x), tokens)
    close(ours.forward_head(tokens), tokens[:, 0])
    close(ours(x), tokens[:, 0])
    assert (ours.num_features, ours.num_prefix_tokens, ours.num_classes, ours.global_pool) == (
        24,
        1,
        0,
        "token",
    )
    maps = [out[:, 1:].mT.unflatten(2, (4, 6)) for out in blocks]
    only = ours.features_only()
    for found, expected in zip(only(x), maps[1:], strict=True):
        close(found, expected)
    assert only.feature_info.channels() == [24] * 3
    assert only.feature_info.reduction() == [8] * 3
    assert only.feature_info.module_name() == [f"encoder.blocks.{i}" for i in (1, 2, 3)]
    last, (first, final) = ours.forward_intermediates(x, (0, -1), norm=True)
    close(last, tokens)
    close(first, theirs.vit_core.norm(blocks[0])[:, 1:].mT.unflatten(2, (4, 6)))
    close(final, tokens[:, 1:].mT.unflatten(2, (4, 6)))
    assert ours.no_weight_decay() == {"encoder.token", "encoder.positions"}


@torch.inference_mode()
def test_a_resnet_gives_maps_of_its_stages(resnets):
    theirs, ours = resnets
    x = torch.randn(1, 80, 32, 32)
    expected = [theirs.spectral_adapter(x)]
    for stage in (1, 2, 3, 4):
        expected.append(getattr(theirs.resnet, f"layer{stage}")(expected[-1]))
    close(ours.forward_features(x), expected[-1])
    close(ours(x), theirs(x))
    only = ours.features_only()
    for found, wanted in zip(only(x), expected, strict=True):
        close(found, wanted)
    assert only.feature_info.channels() == [128, 256, 512, 1024, 2048]
    assert only.feature_info.reduction() == [1, 2, 4, 8, 16]
    fine = ours.features_only((1, -1))
    assert [tuple(each.shape[1:]) for each in fine(x)] == [(256, 16, 16), (2048, 2, 2)]
    assert fine.feature_info.channels() == [256, 2048]
    assert fine.feature_info.channels(0) == 128
    assert (ours.num_features, ours.num_prefix_tokens, ours.global_pool) == (2048, 0, "avg")


@pytest.mark.parametrize("name", ["resnet18", "vit_s", "swin_t"])
def test_modules_of_maps_exist(name):
    with torch.device("meta"):
        network = TimmStyle(build(Architecture(name, 80)))
    for number, info in enumerate(network.feature_info):
        assert network.get_submodule(info["module"]) is not None
        assert network.features_only((number,)).feature_info.reduction() == [info["reduction"]]


def test_a_classifier_can_be_replaced(vits):
    _, ours = vits
    x = torch.randn(2, 80, 32, 32)
    tokens = ours.forward_features(x)
    ours.reset_classifier(5)
    assert ours.get_classifier() is ours.head
    assert ours(x).shape == (2, 5)
    torch.testing.assert_close(ours.forward_head(tokens), ours.head(tokens[:, 0]))
    assert torch.equal(ours.forward_head(tokens, pre_logits=True), tokens[:, 0])
    ours.reset_classifier(3, "avg")
    torch.testing.assert_close(ours.forward_head(tokens), ours.head(tokens[:, 1:].mean(1)))
    ours.reset_classifier(0, "max")
    torch.testing.assert_close(ours(x), tokens[:, 1:].amax(1))
    ours.reset_classifier(0, "")
    assert torch.equal(ours.forward_head(tokens), tokens)
    with pytest.raises(
        ValueError, match=r"Unknown pooling 'map'\. This encoder has: 'token', 'avg', 'max', ''"
    ):
        ours.reset_classifier(0, "map")
    ours.reset_classifier(0, "token")


def test_maps_that_do_not_exist_are_refused(vits):
    for wrong in (0, 5, (4,), (-5,), ()):
        with pytest.raises(ValueError, match="There are 4 maps"):
            vits[1].features_only(wrong)


def test_the_public_function_takes_files_and_stored_values(dataset, tmp_path):
    architecture = Architecture("resnet18", 202)
    save_encoder(tmp_path / "e", build(architecture), architecture, spectra_of(dataset.folder), {})
    counts = torch.from_numpy(next(iter(dataset.pixels.values()))[None, :, :16, :16])
    network = se.timm_style(tmp_path / "e", num_classes=4).eval()
    with torch.inference_mode():
        expected = load_encoder(tmp_path / "e")(counts)
        assert torch.equal(network.forward_head(network.forward_features(counts), pre_logits=True), expected)
        assert network(counts).shape == (1, 4)
    network(counts).sum().backward()
    assert network.encoder.adapter.layers[0][0].weight.grad is not None
    with pytest.raises(UsageError, match="Unknown pooling 'token'"):
        se.timm_style(load_encoder(tmp_path / "e"), global_pool="token")
    with pytest.raises(UsageError, match="num_classes must be a whole number"):
        se.timm_style(tmp_path / "e", -1)
