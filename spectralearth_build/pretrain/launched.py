"""The variables by which torch's processes find each other, where srun and not torchrun has started them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from spectralearth_build.errors import UsageError

FIRST_PORT, PORTS = 15000, 15000
"""Range of the ports at which the first process may listen, below those that systems give to connections."""
_NAME = re.compile(r"(?:[^,\[\]]|\[\d[^\]]*\])+")
_NUMBERS = re.compile(r"\[(\d+)[^\]]*\]")


def variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of torchrun for a process that srun started beside others; empty for any other process.

    Args:
        environment: the variables of the process. MASTER_ADDR and MASTER_PORT in it are kept.

    Raises:
        UsageError: A variable of Slurm is missing or strange.
    """
    if "RANK" in environment or environment.get("SLURM_STEP_NUM_TASKS", "1") == "1":
        return {}
    try:
        number = int(environment["SLURM_JOB_ID"]) + int(environment["SLURM_STEP_ID"])
        return {
            "RANK": environment["SLURM_PROCID"],
            "LOCAL_RANK": environment["SLURM_LOCALID"],
            "WORLD_SIZE": environment["SLURM_STEP_NUM_TASKS"],
            "MASTER_ADDR": environment.get("MASTER_ADDR") or first_of(environment["SLURM_STEP_NODELIST"]),
            "MASTER_PORT": environment.get("MASTER_PORT") or str(FIRST_PORT + number % PORTS),
        }
    except (KeyError, ValueError) as error:
        what = f"srun started several processes, but Slurm's variables are not as expected ({error})."
        raise UsageError(what, remedy="Use torchrun, or set RANK, LOCAL_RANK and WORLD_SIZE.") from None


def first_of(nodes: str) -> str:
    """Return the first node of a list as Slurm writes it, such as ``gpu[03-05,11]``, ``r[1-2]n[1-8].hpc`` or ``a1,a2``.

    Raises:
        ValueError: It is not such a list.
    """
    found = _NAME.match(nodes)
    if not found:
        raise ValueError(f"no nodes in '{nodes}'")
    return _NUMBERS.sub(r"\1", found[0])
