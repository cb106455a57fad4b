import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d
from torch.nn.functional import interpolate

from spectralearth_build.pretrain.augment.matrices import blur, crops, flip, product, resize


@pytest.mark.parametrize(
    ("box", "out"), [((3, 5, 20, 11), 16), ((0, 0, 32, 32), 32), ((7, 1, 5, 30), 48), ((0, 0, 32, 32), 9)]
)
def test_crop_and_resize_equal_interpolate(box, out):
    line, col, height, width = box
    images = torch.randn(1, 4, 32, 32)
    rows = resize(torch.tensor([line]), torch.tensor([height]), 32, out)
    cols = resize(torch.tensor([col]), torch.tensor([width]), 32, out)
    part = images[:, :, line : line + height, col : col + width]
    expected = interpolate(part, (out, out), mode="bilinear", antialias=True, align_corners=False)
    torch.testing.assert_close(product(rows, images, cols), expected, rtol=1e-4, atol=2e-5)


def test_every_image_gets_its_own_matrices():
    images = torch.randn(2, 3, 16, 16)
    start, length = torch.tensor([0, 4]), torch.tensor([16, 8])
    both = resize(start, length, 16, 16)
    for i in range(2):
        alone = resize(start[i : i + 1], length[i : i + 1], 16, 16)
        torch.testing.assert_close(
            product(both, images, both)[i], product(alone, images[i : i + 1], alone)[0]
        )


def test_flips_turn_lines_and_columns_around():
    images = torch.randn(2, 3, 8, 8)
    same = torch.eye(8).expand(2, -1, -1)
    turned = product(flip(same, torch.tensor([True, False])), images, flip(same, torch.tensor([False, True])))
    assert torch.equal(turned[0], images[0].flip(1))
    assert torch.equal(turned[1], images[1].flip(2))


@pytest.mark.parametrize("sigma", [0.3, 1.0, 2.0])
def test_blur_equals_scipys(sigma):
    line = np.random.default_rng(1).normal(size=40)
    expected = gaussian_filter1d(line, sigma, mode="mirror", radius=6)
    found = blur(torch.tensor([sigma]), 40, 13)[0].double().numpy() @ line
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_no_blur_is_the_identity():
    torch.testing.assert_close(blur(torch.tensor([0.0]), 20, 13)[0], torch.eye(20))


def test_crops_keep_to_image_scale_and_ratio():
    found = crops(4000, 100, (0.08, 0.5), (3 / 4, 4 / 3), torch.Generator().manual_seed(0)).double()
    line, col, height, width = found.T
    assert (line >= 0).all()
    assert (line + height <= 100).all()
    assert (col + width <= 100).all()
    area, ratio = height * width / 1e4, width / height
    assert area.min() > 0.07
    assert area.max() < 0.52
    assert ratio.min() > 0.7
    assert ratio.max() < 1.43
    assert area.std() > 0.1  # uniform between the bounds: 0.12
    assert float((line / (101 - height)).mean()) == pytest.approx(0.49, abs=0.03)


def test_what_never_fits_is_the_whole_image():
    found = crops(5, 10, (1.0, 1.0), (4.0, 4.0), torch.Generator().manual_seed(0))
    assert found.tolist() == [[0, 0, 10, 10]] * 5
