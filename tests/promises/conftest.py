"""Options of the laboratory stand in tests/conftest.py, where pytest looks for them."""

from collections.abc import Iterator

import pytest

from tests.support.watched import Baits


@pytest.fixture(scope="session")
def every_point(request):
    """Whether to try every crash point and more flips, not a share of them."""
    return request.config.getoption("--every-point")


@pytest.fixture(scope="session")
def soak_hours(request):
    """How long to soak; skips the test if not asked for."""
    hours = request.config.getoption("--soak")
    if not hours:
        pytest.skip("only with --soak HOURS")
    return hours


@pytest.fixture(scope="session")
def fuzz_trials(request):
    """How many hostile inputs to try instead of the few of CI; 0: those few."""
    return request.config.getoption("--fuzz")


@pytest.fixture(scope="module")
def baits(tmp_path_factory) -> Iterator[Baits]:
    """What no reader may touch; looks at the end whether one did."""
    baits = Baits(tmp_path_factory.mktemp("outside") / "baits")
    yield baits
    baits.check()
    baits.server.close()
