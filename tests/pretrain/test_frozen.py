import torch
from torch import nn

from spectralearth_build.pretrain.encoders.resnet import SpectralResNet
from spectralearth_build.pretrain.frozen import Frozen


def test_training_around_it_leaves_a_frozen_encoder_bit_equal():
    """In train mode the statistics of batch normalisation would drift with every batch."""
    torch.manual_seed(0)
    frozen = Frozen(SpectralResNet(80, 18))
    head = nn.Linear(512, 2)
    model = nn.Sequential(frozen, head).train()
    before = {name: value.clone() for name, value in frozen.state_dict().items()}
    descent = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.1)
    for _ in range(3):
        loss = model(torch.randn(4, 80, 16, 16) * 3 + 1).square().mean()
        descent.zero_grad()
        loss.backward()
        descent.step()
    assert all(torch.equal(value, before[name]) for name, value in frozen.state_dict().items())
    assert not frozen.network.training
    assert head.training
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == 512 * 2 + 2


def test_an_encoder_that_is_not_frozen_drifts():
    encoder = SpectralResNet(80, 18).train()
    before = encoder.adapter.layers[0][1].running_mean.clone()
    with torch.no_grad():
        encoder(torch.randn(4, 80, 16, 16) * 3 + 1)
    assert not torch.equal(before, encoder.adapter.layers[0][1].running_mean)
