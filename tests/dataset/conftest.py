import pytest
from handmade_dataset import Handmade, make


@pytest.fixture(scope="session")
def handmade(tmp_path_factory) -> Handmade:
    return make(tmp_path_factory.mktemp("data") / "handmade")
