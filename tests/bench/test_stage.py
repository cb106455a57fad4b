import json
import subprocess
import sys

import pytest

from spectralearth_build.bench.measure import APART, counts
from spectralearth_build.tables import LOCATIONS, TILES


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_the_plan_stage_is_run_and_measured(tiles, tmp_path, workers):
    TILES.write(tiles, tmp_path)
    command = [
        *APART,  # its memory is its own, not that of the tests before
        sys.executable,
        "-m",
        "spectralearth_build.bench.planning.stage",
        str(tmp_path),
        str(workers),
        "pairs",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    (line,) = done.stdout.splitlines()
    said = json.loads(line)
    expected = counts(LOCATIONS.read(tmp_path)["n"].to_numpy())
    assert {name: said[name] for name in expected} == expected
    assert 0 < said["seconds"] < 100
    assert 100 < said["driver_mb"] < 4000
    assert (said["worker_mb"] > 100) == bool(workers)
    inputs = json.loads((tmp_path / "plan.json").read_text())["inputs"]
    assert "pairs" in json.dumps(inputs)
