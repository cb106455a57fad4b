import numpy as np
import pytest
import torch

from spectralearth_build.pretrain.spectra import Spectra, Standardise, WavelengthError

SPECTRA = Spectra((420.0, 500.0, 600.0), (100.0, 2000.0, 5.0), (50.0, 400.0, 0.0))


def test_counts_are_standardised_by_the_dataset_not_by_the_patch():
    counts = torch.tensor([[100, 150], [2400, -2000], [5, 5]], dtype=torch.int16)[:, None]
    found = Standardise(SPECTRA)(counts)[:, 0]
    assert found.tolist() == [[0.0, 1.0], [1.0, -10.0], [0.0, 0.0]]  # a constant band stays at zero
    twice = Standardise(SPECTRA)(counts * 2)[:, 0]
    np.testing.assert_allclose(twice[0], [2.0, 4.0])  # twice as bright stays twice as bright


def test_pixels_without_data_become_the_mean():
    counts = torch.full((3, 2, 2), -32768, dtype=torch.int16)
    assert not Standardise(SPECTRA)(counts).any()


def test_extreme_counts_are_not_clipped():
    counts = torch.tensor([32767, -32767, 0], dtype=torch.int16)[:, None, None]
    assert Standardise(SPECTRA)(counts)[0].item() == pytest.approx((32767 - 100) / 50)


def test_it_survives_json():
    assert Spectra.from_json(SPECTRA.to_json()) == SPECTRA


def test_other_bands_are_named():
    SPECTRA.check(Spectra((420.5, 499.5, 600.0), (0,) * 3, (1,) * 3), "x")
    with pytest.raises(WavelengthError, match=r"band 1: 511.0 nm instead of 500.0 nm"):
        SPECTRA.check(Spectra((420.0, 511.0, 600.0), (0,) * 3, (1,) * 3), "x")
    with pytest.raises(WavelengthError, match="The data have 2 bands, the encoder has 3"):
        SPECTRA.check(Spectra((420.0, 500.0), (0,) * 2, (1,) * 2), "x")
