"""What a plan compiles: a few loops, once a machine, before the workers begin. Counted, never timed.

The driver starts a helper that compiles from the other end. Which of them compiles what depends on their speed.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import spectralearth_build
from tests.support.processes import environment

LISTENER = """
import multiprocessing
import os
from numba.core import event

class Count(event.Listener):
    def on_start(self, each):
        with open(os.environ["COMPILED"], "a") as file:
            who = "main" if multiprocessing.parent_process() is None else "worker"
            file.write(f"{os.getpid()} {who} {each.data['dispatcher'].py_func.__qualname__}\\n")

    def on_end(self, each):
        pass

event.register("numba:compile", Count())
"""
"""Python imports this first in each process, workers as well: it writes down each function that is compiled."""
MOST = 20
"""Functions that a plan may compile on a new machine; before there were 185."""


@pytest.fixture
def plan(tmp_path):
    """Plan footprints in new processes; returns what was printed, and what was compiled by which process."""
    (tmp_path / "sitecustomize.py").write_text(LISTENER)
    source = Path(spectralearth_build.__file__).parent  # which may have compiled code beside it
    shutil.copytree(source, tmp_path / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    log, cache = tmp_path / "compiled.txt", tmp_path / "cache"

    def call(*words):
        dataset = tmp_path / f"d{len(list(tmp_path.iterdir()))}"
        variables = environment() | {"NUMBA_CACHE_DIR": str(cache), "COMPILED": str(log)}
        variables["PYTHONPATH"] = os.pathsep.join(
            [str(tmp_path), *filter(None, [variables.get("PYTHONPATH")])]
        )
        command = [sys.executable, "-m", "spectralearth_build"]
        run = {"env": variables, "cwd": tmp_path, "check": True, "capture_output": True, "text": True}
        subprocess.run([*command, "synthesize", dataset, "--footprints-only", "--tiles", "12"], **run)
        log.write_text("")
        with subprocess.Popen(
            [*command, "plan", dataset, *words],
            env=variables,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            said, _ = process.communicate()
        assert process.returncode == 0
        return said, [line.split() for line in log.read_text().splitlines()], str(process.pid)

    return call


@pytest.mark.slow
def test_workers_compile_nothing_and_neither_does_the_next_plan(plan):
    said, compiled, driver = plan("--workers", "2")
    assert "plan: compiling loops for this machine" in said
    assert driver in {process for process, _, _ in compiled}
    assert {who for _, who, _ in compiled} == {"main"}
    assert len({process for process, _, _ in compiled}) <= 2  # with a helper
    loops = {name for _, _, name in compiled}
    assert 0 < len(loops) <= MOST, sorted(loops)
    said, compiled, _ = plan("--scheduler", "inline")
    assert "compiling" not in said
    assert compiled == []
