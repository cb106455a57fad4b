"""Heads: sizes, parameters, gradients, and that each does what its name says."""

import re

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

import spectralearth_build.evaluate.heads as heads
from spectralearth_build.evaluate.heads import HEADS, make_head, see
from spectralearth_build.evaluate.heads.deeplab import finer, rates
from spectralearth_build.evaluate.heads.layers import resize
from spectralearth_build.evaluate.heads.plain import LEAST, UpConv
from spectralearth_build.evaluate.heads.unet import plan
from spectralearth_build.pretrain.encoders import make
from spectralearth_build.pretrain.encoders.resnet import SpectralResNet
from spectralearth_build.pretrain.encoders.vit import SpectralViT

BANDS = 75
ENCODERS = {
    "resnet18": {},
    "resnet18 dense": {"dense": True},
    "resnet18 full": {"stem": "full"},
    "resnet50": {},
    "resnet50 dense": {"dense": True},
    "resnet50 full": {"stem": "full"},
    "vit_s 4": {"patch": 4},
    "vit_s 8": {"patch": 8},
    "vit_s 16": {"patch": 16},
    "swin_t": {},
}


def on_paper(name):
    """An encoder without memory: shapes and counts only."""
    with torch.device("meta"):
        return make(name.split()[0], BANDS, **ENCODERS[name])


def parameters(module):
    return sum(each.numel() for each in module.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("name", ENCODERS)
def test_scores_have_the_size_of_the_image(name):
    encoder = on_paper(name)
    with torch.device("meta"), torch.inference_mode():
        made = {head: make_head(head, encoder, 5) for head in HEADS}
        for size in (32, 64, 128):
            pixels = torch.zeros(2, BANDS, size, size)
            maps = encoder.pyramid(pixels)
            found = [tuple(each.shape[1:]) for each in maps]
            assert found == [
                (channels, size // stride, size // stride) for channels, stride in encoder.levels
            ]
            assert (encoder.dim, encoder.stride) == encoder.levels[-1]
            for head in HEADS[1:]:
                assert made[head](maps, (size, size)).shape == (2, 5, size, size), (head, size)
            assert made["linear"]([torch.zeros(2, encoder.dim)], (size, size)).shape == (2, 5)


def expected_parameters(name, levels, classes):
    """By hand, from the definitions of the heads."""

    def block(inputs, outputs, kernel=3):
        return kernel**2 * inputs * outputs + 2 * outputs

    (dim, stride), total = levels[-1], 0
    if name in ("linear", "conv"):
        return (dim + 1) * classes
    if name == "fcn":
        return block(dim, dim // 4) + (dim // 4 + 1) * classes
    if name == "upconv":
        while stride > 1:
            total += block(dim, max(dim // 2, LEAST))
            dim, stride = max(dim // 2, LEAST), stride // 2
        return total + (dim + 1) * classes
    if name == "deeplab":
        level = finer(levels)
        skip = 0 if level is None else 48
        total = block(dim, 256, 1) + 3 * block(dim, 256) + (dim + 1) * 256 + block(5 * 256, 256, 1)
        total += 0 if level is None else block(levels[level][0], 48, 1)
        return total + block(256 + skip, 256) + block(256, 256) + 257 * classes
    widths = [256, 128, 64, 32, 16]
    for level, width in zip(plan(levels), widths, strict=False):
        total += block(dim + (0 if level is None else levels[level][0]), width) + block(width, width)
        dim = width
    return total + (dim + 1) * classes


@pytest.mark.parametrize("name", ENCODERS)
def test_parameters_are_those_of_the_definitions(name):
    encoder = on_paper(name)
    with torch.device("meta"):
        for head in HEADS:
            found = parameters(make_head(head, encoder, 7))
            assert found == expected_parameters(head, encoder.levels, 7), head


def test_parameters_are_those_of_the_documentation():
    rows = re.findall(r"^(\w+) +([\d.]+) +([\d.]+) +([\d.]+) +([\d.]+)$", heads.__doc__, re.M)
    assert [row[0] for row in rows] == list(HEADS)
    for column, encoder in enumerate(("resnet18", "resnet50", "vit_s 4", "swin_t")):
        network = on_paper(encoder)
        with torch.device("meta"):
            found = [parameters(make_head(head, network, 15)) / 1e6 for head in HEADS]
        assert found == pytest.approx([float(row[1 + column]) for row in rows], abs=0.005)


@pytest.fixture(scope="module")
def small():
    """Encoders that compute, small where the architecture allows it; in evaluation mode, as a frozen one."""
    torch.manual_seed(0)
    return {
        "resnet18": SpectralResNet(BANDS, 18).eval(),
        "resnet18 dense": SpectralResNet(BANDS, 18, dense=True).eval(),
        "vit": SpectralViT(BANDS, (24, 2, 3), 8, 32).eval(),
        "swin_t": make("swin_t", BANDS).eval(),
    }


@pytest.mark.slow
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", ["resnet18", "resnet18 dense", "vit", "swin_t"])
def test_gradients_reach_every_parameter(small, name, head):
    torch.manual_seed(1)
    encoder, size = small[name], 16 if name.endswith("dense") else 32
    encoder.zero_grad()
    made = make_head(head, encoder, 3).eval()
    pixels = torch.randn(2, BANDS, size, size)
    scores = made(see(encoder, made.takes, pixels), (size, size))
    cross_entropy(scores, torch.randint(3, (2, *scores.shape[2:]))).backward()
    for where in (encoder, made):
        silent = [k for k, p in where.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
        assert not silent, silent


@pytest.mark.parametrize("head", HEADS)
def test_a_batch_of_one_image_trains(small, head):
    """The last batch of an epoch may hold one."""
    made = make_head(head, small["resnet18"], 3).train()
    pixels = torch.randn(1, BANDS, 32, 32)
    with torch.no_grad():
        maps = see(small["resnet18"], made.takes, pixels)
    loss = made(maps, (32, 32)).square().mean()
    loss.backward()
    assert torch.isfinite(loss)


@pytest.mark.slow
@pytest.mark.parametrize("head", HEADS[1:])
def test_a_head_learns_a_map(small, head):
    """Halves of the image with different spectra: a few steps tell them apart."""
    torch.manual_seed(2)
    pixels = torch.randn(4, BANDS, 32, 32) * 0.1
    pixels[:, :40, :, 16:] += 2
    truth = torch.zeros(4, 32, 32, dtype=torch.int64)
    truth[:, :, 16:] = 1
    encoder = small["resnet18"]
    made = make_head(head, encoder, 2)
    optimiser = torch.optim.AdamW(made.parameters(), 1e-2)
    with torch.no_grad():
        maps = see(encoder, made.takes, pixels)
    for _ in range(12):
        optimiser.zero_grad()
        loss = cross_entropy(made(maps, (32, 32)), truth)
        loss.backward()
        optimiser.step()
    with torch.no_grad():  # in training mode: a dozen steps do not settle running statistics
        right = made(maps, (32, 32)).argmax(1) == truth
    assert right.float().mean() > 0.9


def test_upconv_is_what_the_paper_says():
    head = UpConv(384, 16, 3)
    kinds = [
        type(layer) for part in head.layers for layer in (part if isinstance(part, nn.Sequential) else [part])
    ]
    assert kinds == [nn.Upsample, nn.Conv2d, nn.BatchNorm2d, nn.ReLU] * 4 + [nn.Conv2d]
    widths = [m.out_channels for m in head.modules() if isinstance(m, nn.Conv2d)]
    assert widths == [192, 96, 64, 64, 3]


def test_skips_join_where_their_stride_is_reached():
    resnet = ((128, 1), (64, 2), (128, 4), (256, 8), (512, 16))
    assert plan(resnet) == [3, 2, 1, 0]
    assert plan(((128, 1), (64, 1), (128, 2), (256, 4), (512, 8))) == [3, 2, 1, 0]
    assert plan(((128, 1), (96, 4), (192, 8), (384, 16), (768, 32))) == [3, 2, 1, None, 0]
    assert plan(((384, 8),)) == [None, None, None]
    assert plan(((128, 1), (64, 1), (512, 1))) == [1, 0]


def test_dilations_are_shares_of_a_patch_and_the_finer_map_has_stride_four():
    assert [rates(stride) for stride in (1, 4, 8, 16, 32)] == [
        [24, 48, 72],
        [6, 12, 18],
        [3, 6, 9],
        [2, 3, 5],
        [1, 2, 3],
    ]
    assert finer(((128, 1), (64, 2), (128, 4), (256, 8), (512, 16))) == 2
    assert finer(((128, 1), (64, 1), (128, 2), (256, 4), (512, 8))) == 2
    assert finer(((128, 1), (96, 4), (192, 8), (384, 16), (768, 32))) == 1
    assert finer(((128, 1), (64, 1), (512, 1))) == 0
    assert finer(((384, 8),)) is None


def test_upsampling_keeps_the_places_of_pixels():
    ramp = torch.arange(4.0).expand(1, 1, 2, 4)
    centres = (torch.arange(12) + 0.5) / 3 - 0.5
    torch.testing.assert_close(resize(ramp, (6, 12)), centres.clamp(0, 3).expand(1, 1, 6, 12))
    assert resize(ramp, (2, 4)) is ramp


def test_unknown_heads_are_refused(small):
    with pytest.raises(ValueError, match="Unknown head 'psp'"):
        make_head("psp", small["vit"], 3)
