"""A real Slurm of one node: started from Debian's packages, with its state in a folder and loopback only."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from tests.support.processes import environment, wait_for

PACKAGES = ("slurm-wlm", "munge")
DAEMONS = ("munged", "slurmctld", "slurmd")
# A requeued job waits until its former credential has expired, two minutes unless told otherwise.
CONF = """
ClusterName=one
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={base}/munge/socket,cred_expire=10
SlurmctldPort={ctld}
SlurmdPort={slurmd}
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation={base}/state
SlurmdSpoolDir={base}/spool
SlurmctldPidFile={base}/slurmctld.pid
SlurmdPidFile={base}/slurmd.pid
SlurmctldLogFile={base}/slurmctld.log
SlurmdLogFile={base}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_min_interval=0,sched_interval=2
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
SwitchType=switch/none
KillWait=3
NodeName=localhost NodeAddr=127.0.0.1 CPUs=64 RealMemory=200000 State=UNKNOWN
PartitionName=debug Nodes=localhost Default=YES MaxTime=INFINITE State=UP
"""


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Slurm of this test process alone, in whose environment SLURM_CONF says where it is."""
    base = tmp_path_factory.mktemp("slurm")
    _require_packages(base)
    with running(base) as conf, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(conf))
        yield conf


def _require_packages(base: Path) -> None:
    """Install the packages if need be; skip with the reason where that is not possible."""
    if os.geteuid():
        pytest.skip("Slurm is started as root only")
    if all(map(shutil.which, DAEMONS)):
        return
    if not shutil.which("apt-get"):
        pytest.skip("there is neither Slurm nor apt-get")
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    said = b""
    with (base.parent.parent / "apt.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the other processes of this test run wait
        for words in (["update"], ["install", "-y", "--no-install-recommends", *PACKAGES]):
            done = subprocess.run(
                ["apt-get", "-q", *words], env=quiet, capture_output=True, timeout=600, check=False
            )
            said = done.stderr
    if not all(map(shutil.which, DAEMONS)):
        pytest.skip(f"Debian's packages of Slurm cannot be installed: {said.decode(errors='replace')[-300:]}")


@contextmanager
def running(base: Path) -> Iterator[Path]:
    """Start the daemons, and stop them by their process ids; yields the configuration file."""
    for name in ("munge", "state", "spool"):
        (base / name).mkdir()
    ctld, slurmd = _free_ports(2)
    conf = base / "slurm.conf"
    conf.write_text(CONF.format(base=base, ctld=ctld, slurmd=slurmd))
    (base / "munge/key").write_bytes(os.urandom(1024))
    (base / "munge/key").chmod(0o600)
    there = environment(SLURM_CONF=str(conf))
    munge = [
        f"--{word}={base}/munge/{word.removesuffix('-file')}" for word in ("key-file", "socket", "pid-file")
    ]
    munge += [f"--log-file={base}/munge/log", f"--seed-file={base}/munge/seed", "--num-threads=2"]
    try:
        subprocess.run(["munged", "--force", *munge], check=True, capture_output=True, timeout=60)
        subprocess.run(["slurmctld"], check=True, env=there, capture_output=True, timeout=60)
        subprocess.run(["slurmd", "-N", "localhost"], check=True, env=there, capture_output=True, timeout=60)
        wait_for(lambda: _state(there) in ("idle", "mixed", "allocated"))
        yield conf
    finally:
        _stop(base)


def _state(there: dict[str, str]) -> str:
    done = subprocess.run(
        ["sinfo", "-h", "-o", "%T"], env=there, capture_output=True, text=True, timeout=60, check=False
    )
    time.sleep(0.2)
    return done.stdout.strip()


def _stop(base: Path) -> None:
    """End the daemons and what slurmd left of jobs; the last first."""
    for path in (base / "slurmd.pid", base / "slurmctld.pid", base / "munge/pid"):
        with suppress(OSError, ValueError, psutil.Error):
            process = psutil.Process(int(path.read_text()))
            below = process.children(recursive=True)
            process.send_signal(signal.SIGTERM)
            process.wait(30)
            for each in below:
                with suppress(psutil.Error):
                    each.kill()


def _free_ports(number: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
