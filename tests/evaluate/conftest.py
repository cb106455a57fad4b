"""Settings small enough for two cores, a dataset with labels, and weights."""

import pytest
import torch

from spectralearth_build.pretrain.encoders import Architecture, build
from spectralearth_build.pretrain.setup import spectra_of
from spectralearth_build.pretrain.weights import save_encoder


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)  # more only wait for each other beside other work


@pytest.fixture(scope="session")
def known(labelled_dataset):
    """A dataset with labels; not to be changed."""
    return labelled_dataset


@pytest.fixture(scope="session")
def weights(known, tmp_path_factory):
    """The file of a ResNet-18 for that dataset."""
    torch.manual_seed(7)
    path = tmp_path_factory.mktemp("weights") / "encoder.safetensors"
    architecture = Architecture("resnet18", 202, patch=4, image=128)
    save_encoder(path, build(architecture), architecture, spectra_of(known.folder), {})
    return path


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """Features that tests share."""
    return tmp_path_factory.mktemp("features")
