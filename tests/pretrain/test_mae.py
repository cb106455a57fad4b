import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from transformers import ViTMAEConfig, ViTMAEForPreTraining

from spectralearth_build.pretrain.encoders.attention import sine_cosine
from spectralearth_build.pretrain.encoders.resnet import SpectralResNet
from spectralearth_build.pretrain.encoders.vit import SpectralViT
from spectralearth_build.pretrain.objectives.mae import Mae, MaeConfig, partition
from tests.support.reference_blocks import block

BANDS = 128  # as many as the adapter's channels: with it left out, ours is a plain MAE on 128 channels


class Pass(nn.Identity):
    bands = BANDS


def pair() -> tuple[Mae, ViTMAEForPreTraining]:
    """Ours and the reference with the same weights."""
    theirs = ViTMAEForPreTraining(
        ViTMAEConfig(
            hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=192, image_size=16,
            patch_size=4, num_channels=BANDS, decoder_hidden_size=32, decoder_num_hidden_layers=1,
            decoder_num_attention_heads=4, decoder_intermediate_size=128, mask_ratio=0.75, norm_pix_loss=True,
            layer_norm_eps=1e-6, hidden_act="gelu",
        )
    ).eval()  # fmt: skip
    encoder = SpectralViT(BANDS, (48, 2, 4), 4, 16)
    encoder.adapter = Pass()
    ours = Mae(encoder, MaeConfig(mask=0.75, dim=32, heads=4)).eval()
    theirs.decoder.initialize_weights(16)  # its fixed positions, which its constructor leaves at zero
    nn.init.normal_(theirs.vit.embeddings.position_embeddings)
    nn.init.normal_(theirs.vit.embeddings.cls_token)
    nn.init.normal_(theirs.decoder.mask_token)
    copy_weights(theirs, ours)
    return ours, theirs


def copy_weights(theirs: ViTMAEForPreTraining, ours: Mae) -> None:
    state, out = theirs.state_dict(), {}
    for old, new in (("vit.layers.0", "encoder.blocks.0."), ("vit.layers.1", "encoder.blocks.1."),
                     ("decoder.decoder_layers.0", "blocks.0.")):  # fmt: skip
        out |= {new + name: value for name, value in block(state, old).items()}
    flat = {
        "encoder.norm": "vit.layernorm", "bridge": "decoder.decoder_embed", "norm": "decoder.decoder_norm",
    }  # fmt: skip
    for new, old in flat.items():
        for kind in ("weight", "bias"):
            out[f"{new}.{kind}"] = state[f"{old}.{kind}"]
    projection = "vit.embeddings.patch_embeddings.projection"
    out["encoder.embed.weight"] = state[f"{projection}.weight"].flatten(1)
    out["encoder.embed.bias"] = state[f"{projection}.bias"]
    out["encoder.token"] = state["vit.embeddings.cls_token"]
    out["encoder.positions"] = state["vit.embeddings.position_embeddings"]
    out["hidden"] = state["decoder.mask_token"]
    # Theirs has the bands innermost, ours outermost.
    out["predict.weight"] = (
        state["decoder.decoder_pred.weight"].view(16, BANDS, -1).transpose(0, 1).flatten(0, 1)
    )
    out["predict.bias"] = state["decoder.decoder_pred.bias"].view(16, BANDS).T.flatten()
    ours.load_state_dict(out)
    torch.testing.assert_close(ours.places[None], state["decoder.decoder_pos_embed"])


def test_the_loss_and_its_gradient_equal_the_reference():
    ours, theirs = pair()
    images, noise = torch.randn(3, BANDS, 16, 16), torch.rand(3, 16)
    expected = theirs(pixel_values=images, noise=noise)
    order = noise.argsort(1)
    loss = ours.loss_of(images, order[:, :4], order[:, 4:])
    torch.testing.assert_close(loss, expected.loss, rtol=1e-5, atol=1e-6)
    loss.backward()
    expected.loss.backward()
    torch.testing.assert_close(
        ours.encoder.embed.weight.grad,
        theirs.vit.embeddings.patch_embeddings.projection.weight.grad.flatten(1),
        rtol=1e-3,
        atol=1e-6,
    )


@given(st.integers(1, 4), st.integers(2, 64), st.floats(0.05, 0.95), st.integers(0, 99))
def test_masks_partition_the_patches(batch, patches, mask, seed):
    visible, hidden = partition(batch, patches, mask, torch.Generator().manual_seed(seed))
    assert (torch.cat([visible, hidden], 1).sort(1).values == torch.arange(patches)).all()
    assert visible.shape[1] == max(1, int(patches * (1 - mask)))


def test_one_patch_in_ten_of_1024_is_visible():
    visible, hidden = partition(2, 1024, 0.9, torch.Generator().manual_seed(0))
    assert (visible.shape[1], hidden.shape[1]) == (102, 922)


@pytest.mark.parametrize("official", [False, True])
def test_hidden_pixels_do_not_reach_the_encoder(official):
    """Not even through the batch statistics of the adapter; in the published code they do."""
    torch.manual_seed(0)
    mae = Mae(
        SpectralViT(80, (24, 1, 3), 4, 16), MaeConfig(mask=0.5, dim=16, heads=4, official=official)
    ).train()
    images = torch.randn(2, 80, 16, 16)
    visible, hidden = partition(2, 16, 0.5, torch.Generator().manual_seed(0))
    mae.loss_of(images, visible, hidden)
    before = mae.seen
    covered = images.clone()
    for sample in range(2):
        for patch in hidden[sample].tolist():
            line, col = 4 * (patch // 4), 4 * (patch % 4)
            covered[sample, :, line : line + 4, col : col + 4] += 50
    mae.loss_of(covered, visible, hidden)
    assert torch.equal(before, mae.seen) is not official


def test_both_forms_agree_in_evaluation():
    torch.manual_seed(0)
    plain = Mae(SpectralViT(80, (24, 1, 3), 4, 16), MaeConfig(mask=0.5, dim=16, heads=4)).eval()
    official = Mae(plain.encoder, MaeConfig(mask=0.5, dim=16, heads=4, official=True)).eval()
    official.load_state_dict(plain.state_dict())
    parts = partition(2, 16, 0.5, torch.Generator().manual_seed(0))
    images = torch.randn(2, 80, 16, 16)
    torch.testing.assert_close(
        plain.loss_of(images, *parts), official.loss_of(images, *parts), rtol=1e-5, atol=1e-6
    )


def test_only_a_vit_will_do():
    with pytest.raises(TypeError, match="MAE needs a ViT"):
        Mae(SpectralResNet(80, 18))


def test_positions_start_with_zero():
    assert torch.equal(sine_cosine(3, 8)[0], torch.zeros(8))
    assert torch.equal(sine_cosine(3, 8)[1], torch.tensor([0, 0, 1, 1, 0, 0, 1, 1.0]))


@pytest.mark.parametrize("official", [False, True])
@pytest.mark.parametrize("size", [8, 12, 24])
def test_images_of_another_size_than_the_encoders_are_refused(size, official):
    ours = Mae(SpectralViT(128, (48, 1, 4), 4, 16), MaeConfig(mask=0.75, dim=32, heads=4, official=official))
    with pytest.raises(ValueError, match="16 x 16 pixels, got"):
        ours.loss(torch.randn(2, 128, size, size), torch.Generator().manual_seed(0))
