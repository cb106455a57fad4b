import pytest
import torch
from torch import nn

from spectralearth_build.pretrain.encoders.adapter import SpectralAdapter


def as_3d(adapter: SpectralAdapter) -> nn.Sequential:
    """The paper's form: 3-D convolutions with the bands as depth, and the same weights."""
    layers = []
    for convolution, norm, _ in adapter.layers:
        kernel, stride = convolution.kernel_size[0], convolution.stride[0]
        volume = nn.Conv3d(
            convolution.in_channels, convolution.out_channels, (kernel, 1, 1), (stride, 1, 1), (1, 0, 0)
        )
        volume.weight.data = convolution.weight.data[..., None]
        volume.bias.data = convolution.bias.data
        norm3d = nn.BatchNorm3d(norm.num_features)
        norm3d.load_state_dict(norm.state_dict())
        layers += [volume, norm3d, nn.ReLU()]
    return nn.Sequential(*layers)


@pytest.mark.parametrize("bands", [75, 100, 202, 224])
@pytest.mark.parametrize("training", [True, False])
def test_the_2d_form_equals_the_3d_form(bands, training):
    adapter = SpectralAdapter(bands).train(training)
    x = torch.randn(3, bands, 6, 5)
    expected = as_3d(adapter).train(training)(x[:, None]).mean(2)
    torch.testing.assert_close(adapter(x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("bands", [75, 202, 224])
def test_it_has_56192_parameters_for_any_number_of_bands(bands):
    assert sum(p.numel() for p in SpectralAdapter(bands).parameters()) == 56192


def test_bands_shrink_from_202_to_40_to_8_to_2():
    x, depths = torch.randn(1, 1, 202, 4), []
    for layer in SpectralAdapter(202).layers:
        x = layer(x)
        depths.append(x.shape[2])
    assert depths == [40, 8, 2]


def test_too_few_bands_and_other_bands_are_refused():
    with pytest.raises(ValueError, match="at least 75 bands, not 74"):
        SpectralAdapter(74)
    with pytest.raises(ValueError, match="made for 100 bands, but the input has 99"):
        SpectralAdapter(100)(torch.zeros(1, 99, 4, 4))
