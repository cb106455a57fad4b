"""Settings of the whole suite."""

from pathlib import Path

import pytest
from hypothesis import settings

from spectralearth_build.progress import set_quiet

pytest.register_assert_rewrite("tests.support")
pytest_plugins = [
    "tests.support.handmade_dataset",
    "tests.support.labelled_dataset",
    "tests.support.loader_data",
    "tests.support.pairing_site",
    "tests.support.slurm",
    "tests.support.store_study",
]
"""Modules of tests/support whose fixtures more than one folder uses."""

SLOW = ("main_job", "matrix", "promises")
"""Folders whose tests all count as slow: whole builds, again and again."""
HERE = Path(__file__).parent

# Kernels compile on their first call, which no deadline should judge.
settings.register_profile("default", deadline=None)
settings.load_profile("default")


@pytest.fixture(autouse=True)
def _aloud() -> None:
    """Every test begins with a program that speaks, whatever the one before it silenced."""
    set_quiet(False)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the fault laboratory in tests/promises."""
    parser.addoption("--every-point", action="store_true", help="resume from every crash point")
    parser.addoption("--every-cell", action="store_true", help="also the slow cells of tests/matrix")
    parser.addoption("--soak", type=float, default=0.0, metavar="HOURS", help="kill running builds that long")
    parser.addoption(
        "--fuzz", type=int, default=0, metavar="N", help="so many hostile inputs for each attack"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow; each such test elsewhere is marked where it stands."""
    for item in items:
        if item.path.relative_to(HERE).parts[0] in SLOW:
            item.add_marker(pytest.mark.slow)
