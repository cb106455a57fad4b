import numpy as np
import pytest
import torch

from spectralearth_build.evaluate.crops import all_of, at_random, cut, flip, tiles


@pytest.mark.parametrize(
    ("size", "count", "first"), [(128, 1, 0), (64, 4, 0), (48, 4, 16), (40, 9, 4), (65, 1, 31)]
)
def test_whole_crops_lie_side_by_side_in_the_middle(size, count, first):
    corners = tiles(size)
    assert corners.shape == (count, 2)
    assert corners[0].tolist() == [first, first]
    cover = np.zeros((128, 128), int)
    for line, col in corners.tolist():
        assert cover[line : line + size, col : col + size].shape == (size, size)
        cover[line : line + size, col : col + size] += 1
    assert cover.max() == 1
    assert np.array_equal(cover, cover.T)


def test_crops_are_the_pixels_they_are_said_to_be():
    images = torch.arange(3 * 2 * 128 * 128).view(3, 2, 128, 128)
    corners = torch.tensor([[0, 5], [88, 88], [17, 0]])
    for got, image, (line, col) in zip(cut(images, corners, 40), images, corners.tolist(), strict=True):
        assert torch.equal(got, image[:, line : line + 40, col : col + 40])
    every = all_of(images, 48)
    assert every.shape == (12, 2, 48, 48)
    for k, got in enumerate(every):
        line, col = tiles(48)[k % 4].tolist()
        assert torch.equal(got, images[k // 4, :, line : line + 48, col : col + 48])
    assert cut(images, corners, 128) is images


def test_random_corners_stay_inside_and_reach_every_edge():
    corners = at_random(4000, 120, torch.Generator().manual_seed(0))
    assert corners.min() == 0
    assert corners.max() == 8
    assert torch.equal(corners, at_random(4000, 120, torch.Generator().manual_seed(0)))


def test_flips_are_those_of_numpy():
    images = torch.randint(-9, 9, (4, 3, 5, 5), dtype=torch.int16)
    flips = torch.tensor([[False, False], [True, False], [False, True], [True, True]])
    got = flip(images, flips).numpy()
    for k, axes in enumerate([(), (1,), (2,), (1, 2)]):
        assert np.array_equal(got[k], np.flip(images[k].numpy(), axes))
    maps = images[:, 0]
    assert torch.equal(flip(maps, flips), flip(images, flips)[:, 0])
