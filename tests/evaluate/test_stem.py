"""The stem without stride: the same weights, a map twice as fine, and finer detail in it."""

import pytest
import torch
from torch import nn

from spectralearth_build.pretrain.encoders import make
from spectralearth_build.pretrain.encoders.encoder import Architecture
from spectralearth_build.pretrain.encoders.resnet import SpectralResNet
from spectralearth_build.pretrain.spectra import Spectra
from spectralearth_build.pretrain.weights import load_encoder, save_encoder

BANDS = 75


@pytest.mark.parametrize("depth", [18, 50])
def test_the_full_stem_has_the_same_weights_and_no_stride_before_the_second_stage(depth):
    with torch.device("meta"):
        plain, full = SpectralResNet(BANDS, depth), SpectralResNet(BANDS, depth, stem="full")
    shapes = {name: value.shape for name, value in plain.state_dict().items()}
    assert shapes == {name: value.shape for name, value in full.state_dict().items()}
    strides = [max(m.stride[0] for m in stage.modules() if isinstance(m, nn.Conv2d)) for stage in full.stages]
    assert strides == [1, 2, 2, 2]
    assert (plain.stride, full.stride) == (16, 8)
    assert not any(isinstance(m, (nn.MaxPool2d, nn.AvgPool2d)) for m in full.modules())


def test_a_full_stem_sees_every_pixel_where_a_stride_passes_over_some():
    """ResNet-18's shortcut of the first stage, 1x1 with stride 2, reads every fourth pixel only."""
    torch.manual_seed(0)
    plain, full = SpectralResNet(BANDS, 18).eval(), SpectralResNet(BANDS, 18, stem="full").eval()
    full.load_state_dict(plain.state_dict())
    x = torch.randn(1, BANDS, 32, 32)
    with torch.inference_mode():
        coarse, fine = plain.pyramid(x)[1], full.pyramid(x)[1]
        assert fine.shape[2:] == (32, 32)
        first = plain.stages[0][0].shortcut(plain.adapter(x)), full.stages[0][0].shortcut(full.adapter(x))
    torch.testing.assert_close(first[1][..., ::2, ::2], first[0])
    assert coarse.shape[2:] == (16, 16)


@pytest.mark.parametrize("stem", ["", "full"])
@pytest.mark.parametrize("dense", [False, True])
def test_the_pyramid_ends_in_the_features(stem, dense):
    encoder = make("resnet18", BANDS, dense=dense, stem=stem).eval()
    x = torch.randn(1, BANDS, 16, 16)
    with torch.inference_mode():
        maps = encoder.pyramid(x)
        assert torch.equal(maps[-1], encoder.features(x))
        assert torch.equal(maps[0], encoder.adapter(x))
    assert encoder.stride == (1 if dense else 8 if stem else 16)


@pytest.mark.parametrize("name", ["vit_s", "swin_t"])
def test_the_pyramid_of_transformers_ends_in_the_features_too(name):
    encoder = make(name, BANDS, patch=8, image=32).eval()
    x = torch.randn(1, BANDS, 32, 32)
    with torch.inference_mode():
        assert torch.equal(encoder.pyramid(x)[-1], encoder.features(x))


def test_a_trained_encoder_is_loaded_with_the_full_stem(tmp_path):
    path = tmp_path / "encoder.safetensors"
    spectra = Spectra(tuple(range(BANDS)), (500.0,) * BANDS, (100.0,) * BANDS)
    trained = make("resnet18", BANDS)
    save_encoder(path, trained, Architecture("resnet18", BANDS), spectra, {})
    counts = torch.randint(0, 1000, (1, BANDS, 32, 32), dtype=torch.int16)
    loaded = load_encoder(path, stem="full")
    assert (loaded.stride, loaded.levels[1]) == (8, (64, 1))
    with torch.inference_mode():
        maps = loaded.pyramid(counts)
        assert torch.equal(maps[-1], loaded.features(counts))
    assert [tuple(each.shape[1:]) for each in maps] == [(c, 32 // s, 32 // s) for c, s in loaded.levels]
    for name, value in trained.state_dict().items():
        assert torch.equal(value, loaded.encoder.state_dict()[name])


def test_unknown_stems_are_refused():
    with pytest.raises(ValueError, match="Unknown stem 'wide'"):
        make("resnet18", BANDS, stem="wide")
