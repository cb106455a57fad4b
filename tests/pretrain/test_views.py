import torch

from spectralearth_build.pretrain.augment import Augmentation, augment

NOTHING = Augmentation(scale=(1, 1), ratio=(1, 1), flip=0)


def draw(seed=0):
    return torch.Generator().manual_seed(seed)


def test_extreme_values_survive():
    images = torch.randn(2, 5, 16, 16)
    images[0, 0, 3, 3], images[1, 2, 5, 5] = 250.0, -90.0
    torch.testing.assert_close(augment(images, NOTHING, draw()), images, rtol=1e-6, atol=1e-5)


def test_bands_keep_their_relations():
    """Geometry and gain act alike on all bands: a band that is twice another one stays so."""
    images = torch.randn(4, 1, 16, 16) * torch.tensor([1.0, 2.0, -3.0])[:, None, None]
    view = augment(images, Augmentation(blur=1.0, gain=0.2), draw())
    torch.testing.assert_close(view[:, 1], 2 * view[:, 0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(view[:, 2], -3 * view[:, 0], rtol=1e-4, atol=1e-5)


def test_the_same_draw_gives_the_same_view():
    images, recipe = torch.randn(3, 4, 16, 16), Augmentation(blur=0.5, drop_bands=0.3, gain=0.1, offset=0.1)
    assert torch.equal(augment(images, recipe, draw(1)), augment(images, recipe, draw(1)))
    assert not torch.equal(augment(images, recipe, draw(1)), augment(images, recipe, draw(2)))


def test_dropped_bands_are_zero_in_the_promised_share():
    images = torch.ones(50, 200, 4, 4)
    view = augment(images, Augmentation(scale=(1, 1), ratio=(1, 1), flip=0, drop_bands=0.2), draw())
    dropped = (view == 0).all((2, 3))
    assert bool(((view == 0) == dropped[:, :, None, None]).all())
    assert 0.17 < float(dropped.float().mean()) < 0.23


def test_a_view_may_be_smaller_than_the_image():
    assert augment(torch.randn(2, 3, 32, 32), Augmentation(size=8), draw()).shape == (2, 3, 8, 8)
