"""Which process this is, among all that there are, and whether another one has ended."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PROC = Path("/proc")
_BOOT = "sys/kernel/random/boot_id"
_DEAD = "ZX"
"""States of processes that only wait to be forgotten."""


def presence() -> dict[str, Any]:
    """This process: host, boot of its kernel, space of process numbers, number, and when it began.

    Host names and process numbers repeat among containers; boot and space (a namespace, of which each container has its
    own) do not. Without /proc there is neither, and nothing is said of processes.
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
    """Whether the process that `presence` described is known to have ended; False if nothing is known of it."""
    here, number = presence(), other.get("process")
    same = all(here[name] and here[name] == other.get(name) for name in ("host", "boot", "space"))
    if not same or not isinstance(number, int) or number <= 0 or not other.get("began"):
        return False
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return True
    except OSError:  # it is there, and of another user
        return False
    began = _began(number)
    return began == "" or (began != "?" and began != other["began"])


def _began(number: int) -> str:
    """When a process began, in ticks since boot; empty if it is dead, ? if that cannot be seen."""
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
