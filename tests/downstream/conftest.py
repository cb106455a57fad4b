"""A small labelled dataset, the one that evaluation is tested with, and torch with one thread."""

import pytest


@pytest.fixture(scope="session")
def labelled(labelled_dataset):
    """Folder of nine patches with splits and the label corine; not to be changed."""
    return labelled_dataset.folder


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    import torch

    torch.set_num_threads(1)  # more only wait for each other beside other work
