"""A small labelled dataset, the one that evaluation is tested with, and torch with one thread."""

import importlib.util
from pathlib import Path

import pytest

MAKER = Path(__file__).parents[1] / "evaluate" / "labelled_dataset.py"


@pytest.fixture(scope="session")
def labelled(tmp_path_factory):
    """Folder of nine patches with splits and the label corine."""
    import sys

    spec = importlib.util.spec_from_file_location("labelled_dataset", MAKER)
    module = sys.modules.setdefault("labelled_dataset", importlib.util.module_from_spec(spec))
    spec.loader.exec_module(module)
    return module.make(tmp_path_factory.mktemp("labelled")).folder


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    import torch

    torch.set_num_threads(1)  # more only wait for each other beside other work
