import pytest

from spectralearth_build.bench.contest import contest
from spectralearth_build.synthetic.footprints import footprints


@pytest.fixture(scope="session")
def tiles():
    """Six components in one zone, three of them seen more than once."""
    return footprints(14, 2)


@pytest.fixture(scope="session")
def result(tiles):
    """All strategies on `tiles`; Algorithm 1 on five of the six components."""
    return contest(tiles, sample=5, limit=120, seed=0)
