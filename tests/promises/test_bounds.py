"""P4: what was projected is not exceeded, and the last ten of twenty tiles take no more than those before."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from spectralearth_build import pipeline
from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.config import load
from spectralearth_build.errors import ConfigError
from spectralearth_build.overlap.lattice import Box
from spectralearth_build.plan.estimates import projected_memory
from spectralearth_build.synthetic.product import write_product
from spectralearth_build.synthetic.spec import Layers, Layout
from tests.support.small_archive import BASE

EDGE = 390
TILES = 20
SLACK = 8 << 20
"""Bytes by which the least peaks of groups of equal tiles may differ: 1 MiB on 60 tiles of a quiet machine.

Single peaks differ by 20 MiB there and by 45 MiB on a busy one, as threads meet at other moments. What is kept from
tile to tile raises all of them, also the least one: a patch of 6.3 MiB kept by each would raise it by 50 MiB.
"""
CUT = """
import json, shutil, sys
from pathlib import Path
from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.config import load
from spectralearth_build.progress import set_quiet
from spectralearth_build.cutting.cut import cut

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) << 10

set_quiet(True)
archive, planned, times = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
peaks = []
for number in range(times):
    dataset = planned.with_name(f"again{number}")
    shutil.copytree(planned, dataset)
    Path("/proc/self/clear_refs").write_text("5")
    cut(archive, dataset, load(None, {"run.scheduler": "inline"}), InlineExecutor())
    peaks.append(peak())
    shutil.rmtree(dataset)
print(json.dumps(peaks))
"""


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    """A tile of noise, the kind that compresses least, planned."""
    folder = tmp_path_factory.mktemp("bounds")
    spec = replace(BASE, box=Box(BASE.box.line, BASE.box.col, EDGE, EDGE))
    noise = np.random.default_rng(1).integers(1, 8000, (224, EDGE, EDGE), dtype=np.int16)
    write_product(folder / "archive", spec, noise, Layers.clear((EDGE, EDGE)), Layout(compress="none"))
    run = pipeline.Run(folder / "d", load(None, {"run.scheduler": "inline"}), InlineExecutor())
    run.scan(folder / "archive")
    run.plan()
    return folder


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peaks are read from /proc")
def test_peaks_stay_below_the_projection_and_do_not_grow(planned):
    command = [sys.executable, "-c", CUT, planned / "archive", planned / "d", TILES]
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, text=True, check=True)
    peaks = json.loads(done.stdout)
    projected = pipeline.planned_memory(planned / "d")
    assert len(peaks) == TILES
    print(f"projected {projected >> 20} MiB, peaks {[peak >> 20 for peak in peaks]} MiB")
    assert max(peaks) <= projected
    assert min(peaks[10:]) <= min(peaks[2:10]) + SLACK


def test_what_does_not_fit_is_refused_with_both_numbers(planned):
    config = load(None, {"run.memory_limit": "300 MiB", "run.workers": 1, "run.dashboard": ""})
    with pytest.raises(ConfigError, match=r"A task needs .* MiB at its peak, but .* 300.00 MiB"):
        pipeline.build(planned / "archive", planned / "d", config)
    assert not (planned / "d" / "commits").exists()


def test_the_projection_grows_with_the_tile():
    sizes = [projected_memory(edge, edge) for edge in (100, 500, 1000, 2000)]
    assert sizes == sorted(sizes)
    assert sizes[-1] > 2 * 202 * 2000 * 2000
