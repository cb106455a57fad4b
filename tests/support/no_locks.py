"""File systems whose locks do not work: for this process by patches, for others by a library that is loaded first."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from spectralearth_build import lock
from spectralearth_build.storage import lease, lease_file
from tests.support.processes import environment

FAULTS = {
    "NFS without lockd": errno.ENOLCK,
    "Lustre without flock": errno.ENOSYS,
    "FUSE": errno.EOPNOTSUPP,
    "locks of one machine only": 0,
}
"""What flock answers: an error, or that it has locked, whatever others have."""
SOURCE = """
#include <errno.h>
int flock(int descriptor, int operation) { errno = ANSWER; return ANSWER ? -1 : 0; }
"""
QUICK = """
import runpy, sys
from datetime import timedelta
from spectralearth_build import lock
from spectralearth_build.storage import lease, lease_file
lease.EXPIRY, lease_file.RENEW, lease_file.TICK, lock.LOCAL = timedelta(seconds=60), 0.2, 0.05, ()
"""
COMMAND = """
runpy.run_module("spectralearth_build", run_name="__main__", alter_sys=True)
"""
"""Runs a command."""
HOLD = """
from pathlib import Path
with lock.alone(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""
"""Holds a folder."""


def patch(monkeypatch: pytest.MonkeyPatch, fault: str, expiry: float) -> None:
    """Let locks fail in this process, and leases be renewed often and expire after some seconds."""
    number = FAULTS[fault]

    def flock(descriptor: int, operation: int) -> None:
        if number:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    monkeypatch.setattr(lock, "LOCAL", ())
    monkeypatch.setattr(lease, "EXPIRY", timedelta(seconds=expiry))
    monkeypatch.setattr(lease_file, "RENEW", 0.02)
    monkeypatch.setattr(lease_file, "TICK", 0.01)


def runner(folder: Path, fault: str) -> Callable[..., subprocess.Popen[str]]:
    """Return a function that starts code in a process whose locks fail, and whose leases are quick."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler or not sys.platform.startswith("linux"):
        pytest.skip("this needs a C compiler and Linux")
    source, library = folder / "flock.c", folder / "flock.so"
    source.write_text(SOURCE)
    subprocess.run(
        [compiler, "-shared", "-fPIC", f"-DANSWER={FAULTS[fault]}", "-o", library, source], check=True
    )
    surroundings = environment(LD_PRELOAD=str(library))

    def start(code: str, *words: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", QUICK + code, *map(str, words)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        return subprocess.Popen(command, env=surroundings, text=True, **pipes)  # type: ignore[call-overload,no-any-return]

    return start
