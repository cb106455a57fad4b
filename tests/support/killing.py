"""Builds as users run them, in processes of their own, and a hand that kills them."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

PATIENCE = 600
"""Seconds after which a build counts as hung."""
INLINE = ("--scheduler", "inline")
TWO_WORKERS = ("--workers", "2", "--set", "run.dashboard=")
CALM = ("--set", "store.shard_rows=1", "--set", "run.check_space=false", "--quiet")


@contextmanager
def building(archive: Path, dataset: Path, how: tuple[str, ...]) -> Iterator[subprocess.Popen[str]]:
    """A build in a session of its own; whatever of it is left at the end is killed."""
    command = [sys.executable, "-m", "spectralearth_build", "build", str(archive), str(dataset), *how, *CALM]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        yield process
    finally:
        kill_tree(process)
        process.communicate()


def kill_tree(process: subprocess.Popen[str]) -> int:
    """SIGKILL to a process and all below it; how many there were."""
    with suppress(psutil.Error):
        family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
        for member in family:
            with suppress(psutil.Error):
                member.kill()
        return len(family)
    return 0


def kill_a_worker(process: subprocess.Popen[str], dice: random.Random) -> int:
    """SIGKILL to one of the processes below it that do the work; 0 if there is none just now."""
    with suppress(psutil.Error):
        below = psutil.Process(process.pid).children(recursive=True)
        workers = [child for child in below if "spawn_main" in " ".join(child.cmdline())]
        if workers:
            dice.choice(workers).send_signal(signal.SIGKILL)
            return 1
    return 0


def killed_at(archive: Path, dataset: Path, how: tuple[str, ...], seconds: float) -> int:
    """Begin a build and kill all of it after so long; kills, 0 if it had ended."""
    with building(archive, dataset, how) as process:
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        return 0 if process.returncode is not None else min(1, kill_tree(process))


def finished_among_kills(
    archive: Path, dataset: Path, dice: random.Random, pause: tuple[float, float], kills: int
) -> tuple[int, int, str]:
    """Build with workers, of which one after the other is killed; exit status, kills and what was said."""
    done = 0
    with building(archive, dataset, TWO_WORKERS) as process:
        limit = time.monotonic() + PATIENCE
        while process.poll() is None and done < kills and time.monotonic() < limit:
            with suppress(subprocess.TimeoutExpired):
                process.wait(dice.uniform(*pause))
            done += kill_a_worker(process, dice)
        _, said = process.communicate(timeout=PATIENCE)
    return process.returncode, done, said


def finished(archive: Path, dataset: Path) -> int:
    """Build to the end, undisturbed; the exit status."""
    command = [
        sys.executable,
        "-m",
        "spectralearth_build",
        "build",
        str(archive),
        str(dataset),
        *INLINE,
        *CALM,
    ]
    return subprocess.run(command, check=False, env=os.environ).returncode
