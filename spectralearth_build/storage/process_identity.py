"""Globally unique identity of processes, and whether a process has ended."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PROC = Path("/proc")
_BOOT = "sys/kernel/random/boot_id"
_DEAD = "ZX"
"""States of processes that have ended but are not reaped."""


def presence() -> dict[str, Any]:
    """Return the identity of this process: host, boot id of the kernel, PID namespace, PID and start time.

    Host names and PIDs repeat among containers. The boot id and the PID namespace, of which each container has its own,
    do not. Without /proc, both are unknown, and so is whether a process has ended.
    """
    number = os.getpid()
    return {
        "host": socket.gethostname(),
        "boot": _text(PROC / _BOOT),
        "space": _link(PROC / "self" / "ns" / "pid"),
        "process": number,
        "began": _began(number),
    }


def has_ended(other: Mapping[str, Any]) -> bool:
    """Return whether the process described by `presence` is known to have ended; False if unknown."""
    here, number = presence(), other.get("process")
    same = all(here[name] and here[name] == other.get(name) for name in ("host", "boot", "space"))
    if not same or not isinstance(number, int) or number <= 0 or not other.get("began"):
        return False
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return True
    except OSError:  # it exists, and belongs to another user
        return False
    began = _began(number)
    return began == "" or (began != "?" and began != other["began"])


def _began(number: int) -> str:
    """Return when a process started, in ticks since boot; empty if it has ended, ? if unknown."""
    words = _text(PROC / str(number) / "stat").rpartition(")")[2].split()
    if len(words) < 20:
        return "?"
    return "" if words[0] in _DEAD else words[19]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""
