import pytest
import torch
from torch import nn

from spectralearth_build.pretrain.encoders import NAMES, make
from spectralearth_build.pretrain.encoders.attention import Attention, pick, to_patches
from spectralearth_build.pretrain.encoders.resnet import SpectralResNet
from spectralearth_build.pretrain.encoders.vit import SpectralViT
from tests.support.reference_blocks import block

MILLIONS = {"resnet50": 24.2, "vit_s": 22.5, "vit_b": 87.5, "vit_l": 305.5, "vit_h": 633.7, "vit_g": 1138.0}


@pytest.mark.parametrize("name", MILLIONS)
def test_parameters_are_as_published(name):
    with torch.device("meta"):
        encoder = make(name, 202)
    assert sum(p.numel() for p in encoder.parameters()) / 1e6 == pytest.approx(MILLIONS[name], abs=0.05)


def test_resnet_counts_follow_from_its_layers():
    # torchvision's ResNet-50 without stem and classifier has 23,498,496; here the first block is 128 -> 256 -> 256.
    usual_first = 64 * 64 + 9 * 64 * 64 + 64 * 256 + 64 * 256 + 2 * (64 + 64 + 256 + 256)
    first = 128 * 256 + 9 * 256 * 256 + 256 * 256 + 128 * 256 + 2 * 4 * 256
    with torch.device("meta"):
        found = sum(p.numel() for p in make("resnet50", 202).parameters())
    assert found == 23_498_496 - usual_first + first + 56_192


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "resnet50", "vit_s", "swin_t"])
def test_vectors_and_maps_have_the_promised_shapes(name):
    encoder = make(name, 80, patch=8, image=64).eval()
    x = torch.randn(2, 80, 64, 64)
    with torch.inference_mode():
        assert encoder(x).shape == (2, encoder.dim)
        assert encoder.features(x).shape == (2, encoder.dim, 64 // encoder.stride, 64 // encoder.stride)


@pytest.mark.slow
@pytest.mark.parametrize("depth", [18, 50])
def test_a_dense_resnet_has_the_same_weights_at_full_resolution(depth):
    plain, dense = SpectralResNet(80, depth), SpectralResNet(80, depth, dense=True).eval()
    dense.load_state_dict(plain.state_dict())
    with torch.inference_mode():
        assert dense.features(torch.randn(1, 80, 16, 16)).shape == (1, plain.dim, 16, 16)
    dilations = [
        {m.dilation[0] for m in stage.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)}
        for stage in dense.stages
    ]
    assert dilations == [{1}, {2}, {4}, {8}]


def test_attention_equals_torchs():
    ours, theirs = Attention(32, 4), nn.MultiheadAttention(32, 4, batch_first=True)
    theirs.in_proj_weight.data, theirs.in_proj_bias.data = ours.qkv.weight.data, ours.qkv.bias.data
    theirs.out_proj.load_state_dict(ours.out.state_dict())
    x = torch.randn(2, 9, 32)
    torch.testing.assert_close(ours(x), theirs(x, x, x)[0], rtol=1e-5, atol=1e-6)


def test_patches_are_those_of_unfold():
    x = torch.randn(2, 3, 8, 12)
    expected = torch.nn.functional.unfold(x, 4, stride=4).transpose(1, 2).reshape(2, 6, 3, 16)
    assert torch.equal(to_patches(x, 4), expected)


def test_leaving_patches_out_equals_encoding_the_others_alone():
    encoder = SpectralViT(80, (24, 2, 3), 4, 16).eval()
    x = torch.randn(2, 80, 16, 16)
    everything = torch.arange(16).expand(2, -1)
    torch.testing.assert_close(encoder.tokens(x, everything), encoder.tokens(x), rtol=1e-4, atol=1e-5)
    order = torch.stack([torch.randperm(16), torch.randperm(16)])
    shuffled = encoder.tokens(x, order)[:, 1:]
    torch.testing.assert_close(
        pick(shuffled, order.argsort(1)), encoder.tokens(x)[:, 1:], rtol=1e-4, atol=1e-5
    )


def test_a_vit_pools_its_token_or_the_mean_of_its_patches():
    torch.manual_seed(0)
    mean = SpectralViT(80, (24, 2, 3), 8, 32, "mean").eval()
    token = SpectralViT(80, (24, 2, 3), 8, 32).eval()
    token.load_state_dict(mean.state_dict())
    x = torch.randn(2, 80, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(mean(x), mean.features(x).mean((2, 3)))
        assert torch.equal(token(x), token.tokens(x)[:, 0])
    with pytest.raises(ValueError, match="token or mean, not 'max'"):
        SpectralViT(80, (24, 2, 3), 8, 32, "max")


def test_positions_of_another_grid_are_interpolated():
    encoder = SpectralViT(80, (24, 1, 3), 4, 16)
    assert encoder.positions_for((4, 4)) is encoder.positions
    encoder.positions.data[:, 1:] = 7.0
    assert encoder.positions_for((6, 8)).shape == (1, 49, 24)
    torch.testing.assert_close(encoder.positions_for((6, 8))[:, 1:], torch.full((1, 48, 24), 7.0))
    assert encoder.eval()(torch.randn(1, 80, 24, 32)).shape == (1, 24)


@pytest.mark.slow
def test_swin_equals_the_reference():
    """Transformers' Swin on 128 channels, with the adapter left out."""
    from transformers import SwinConfig, SwinModel

    theirs = SwinModel(
        SwinConfig(
            image_size=256, patch_size=4, num_channels=128, embed_dim=96, window_size=7, drop_path_rate=0.0
        )
    ).eval()
    ours = make("swin_t", 128).eval()
    ours.adapter = nn.Identity()
    ours.load_state_dict(renamed(theirs.state_dict(), ours), strict=False)
    x = torch.randn(1, 128, 256, 256)  # 64, 32, 16, 8 tokens a side: none divides by 7
    with torch.inference_mode():
        expected = theirs(x).last_hidden_state.mean(1)
        torch.testing.assert_close(ours(x), expected, rtol=1e-3, atol=1e-4)


def renamed(state: dict, ours: nn.Module) -> dict:
    """Weights of transformers' Swin under our names; every one of ours must get a value."""
    out = {
        "embed.weight": state["embeddings.patch_embeddings.projection.weight"].flatten(1),
        "embed.bias": state["embeddings.patch_embeddings.projection.bias"],
        "embed_norm.weight": state["embeddings.norm.weight"],
        "embed_norm.bias": state["embeddings.norm.bias"],
        "norm.weight": state["layernorm.weight"],
        "norm.bias": state["layernorm.bias"],
    }
    for stage, depth in enumerate((2, 2, 6, 2)):
        for number in range(depth):
            old, new = f"encoder.layers.{stage}.blocks.{number}", f"stages.{stage}.{number}."
            out |= {new + name: value for name, value in block(state, old).items()}
            out[f"{new}bias"] = state[f"{old}.attention.relative_position_bias.relative_position_bias_table"]
        if stage < 3:
            for name in ("norm.weight", "norm.bias", "reduction.weight"):
                new = name.replace("reduction", "reduce")
                out[f"merges.{stage + 1}.{new}"] = state[f"encoder.layers.{stage}.downsample.{name}"]
    missing = {k for k in ours.state_dict() if k not in out and not k.startswith("adapter")}
    assert not missing, missing
    return out


def test_unknown_names_and_misfits_are_refused():
    with pytest.raises(ValueError, match="Unknown encoder 'resnet34'"):
        make("resnet34", 202)
    with pytest.raises(ValueError, match="must be a multiple of the patch size"):
        make("vit_s", 202, patch=5)
    assert len(NAMES) == 8
