"""How long a user waits before anything happens: imports, refusals, and the first plan on a new machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from spectralearth_build.signals import raise_if_stopped

TYPO = """
import spectralearth_build as se
try:
    se.build_dataset(".", "d", {"plan.valu": "pairs"})
except se.errors.ConfigError:
    pass
"""
PACKAGE = Path(__file__).parents[1]
CLI = [sys.executable, "-m", "spectralearth_build"]


def measure(tiles: int, rounds: int) -> pd.DataFrame:
    """Measure each case in new processes.

    Args:
        tiles: number of footprints to plan.
        rounds: runs of each case, of which the fastest counts; the first plan runs once.

    Returns:
        Columns ``case``, ``cpu_s`` (of the process and its children) and ``wall_s``.
    """
    rows = []
    with TemporaryDirectory(prefix="spectralearth-build-") as folder:
        # A copy of the package: code that was compiled beside this one would be read.
        compiled = shutil.ignore_patterns("*.nbi", "*.nbc")
        shutil.copytree(PACKAGE, Path(folder) / "source" / PACKAGE.name, ignore=compiled)
        for case, command, n in _cases(Path(folder), tiles, rounds):
            raise_if_stopped()
            cpu, wall = min(_timed(command, folder) for _ in range(n))
            rows.append({"case": case, "cpu_s": cpu, "wall_s": wall})
    return pd.DataFrame(rows)


def _cases(folder: Path, tiles: int, rounds: int) -> Iterator[tuple[str, Sequence[str], int]]:
    """Yield the name of each case, its command, and how often to run it."""
    python = [sys.executable, "-c"]
    yield "import pandas, to compare", [*python, "import pandas"], rounds
    yield "import spectralearth_build", [*python, "import spectralearth_build"], rounds
    yield "open_dataset", [*python, "from spectralearth_build import open_dataset"], rounds
    yield (
        "a command with a typo in a setting",
        [*CLI, "build", str(folder), "d", "--set", "plan.valu=pairs"],
        rounds,
    )
    yield "a call with a typo in a setting", [*python, TYPO], rounds
    yield "--help", [*CLI, "--help"], rounds
    for case in ("first plan, nothing compiled yet", "first plan of another dataset"):
        dataset = folder / case.replace(" ", "-")
        subprocess.run(
            [*CLI, "synthesize", str(dataset), "--footprints-only", "--tiles", str(tiles), "--quiet"],
            check=True,
        )
        yield case, [*CLI, "plan", str(dataset), "--scheduler", "inline", "--quiet"], 1


def _timed(command: Sequence[str], folder: str) -> tuple[float, float]:
    """CPU and wall seconds of a process of the copied package, with a cache of compiled code of its own."""
    source = f"{folder}/source"  # also where it runs, for Python looks there first
    path = os.pathsep.join([source, *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"NUMBA_CACHE_DIR": f"{folder}/compiled", "PYTHONPATH": path}
    begin = time.perf_counter()
    with subprocess.Popen(
        command, env=environment, cwd=source, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 2):
        raise subprocess.CalledProcessError(process.returncode, command)
    return used.ru_utime + used.ru_stime, time.perf_counter() - begin
