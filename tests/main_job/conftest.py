"""Running the whole job in this process: archive in, opened dataset out."""

import pytest

from spectralearth_build import config as settings
from spectralearth_build.archive.scan import scan
from spectralearth_build.checking.verify import verify
from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.cutting.cut import cut
from spectralearth_build.dataset.access import open_dataset
from spectralearth_build.plan.planner import plan


@pytest.fixture(scope="module")
def build():
    """Scan, plan, cut, verify against the archive, open."""

    def run(archive, dataset, **overrides):
        config, executor = settings.load(None, overrides), InlineExecutor()
        scan(archive, dataset, config, executor)
        plan(dataset, config, executor)
        cut(archive, dataset, config, executor)
        assert verify(dataset, archive, executor) == []
        return open_dataset(dataset)

    return run
