import pytest

from spectralearth_build.bench.planning.contest import contest
from spectralearth_build.config import QualityConfig
from spectralearth_build.synthetic.footprints import footprints


@pytest.fixture(scope="session")
def tiles():
    """Six components in one zone, three of them seen twice; without tiles that the plan rejects for a low sun."""
    found = footprints(14, 1)
    return found[found["sun_elevation"] >= QualityConfig().min_sun_elevation].reset_index(drop=True)


@pytest.fixture(scope="session")
def result(tiles):
    """All strategies on `tiles`; Algorithm 1 on five of the six components."""
    return contest(tiles, sample=5, limit=120, seed=0)
