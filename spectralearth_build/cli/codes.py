"""Exit codes, and the error classes that lead to each."""

from __future__ import annotations

from collections.abc import Collection

from spectralearth_build.checking.damage import NOT_CHECKED, Damage
from spectralearth_build.errors import (
    ArchiveError,
    BuildError,
    ClusterError,
    ConfigError,
    DamagedError,
    MachineError,
    OutOfSpaceError,
    PlanChangedError,
    StoppedError,
    StorageError,
    UsageError,
)
from spectralearth_build.faults import fault_of, refused

DONE = 0
DAMAGED = 1
USAGE = 2
QUARANTINED = 4
NO_SPACE = 28
NO_ANSWER = 69
FAILED = 70
STOPPED = 75

MEANING = {
    DONE: "done",
    DAMAGED: "a dataset is damaged, or split --check found a leak",
    USAGE: "wrong usage, configuration or environment, or no usable input",
    QUARANTINED: "done, but some tiles were quarantined (unless --accept-quarantined), or cells of a "
    "benchmark failed",
    NO_SPACE: "no space left",
    NO_ANSWER: "an archive, a disk, an object store or a batch system does not answer or refuses",
    FAILED: "something unexpected went wrong",
    STOPPED: "stopped by a signal (the same command continues)",
}
"""The meaning of each exit code. Scripts may rely on them."""

_OF_ERROR: dict[type[BuildError], int] = {
    ConfigError: USAGE,
    UsageError: USAGE,
    PlanChangedError: USAGE,
    OutOfSpaceError: NO_SPACE,
    StoppedError: STOPPED,
    StorageError: NO_ANSWER,
    ArchiveError: NO_ANSWER,
    ClusterError: NO_ANSWER,
    MachineError: USAGE,
    DamagedError: DAMAGED,
}


def code_of_damages(damages: Collection[Damage]) -> int:
    """Return the exit code for the damage that `verify` found."""
    if not damages:
        return DONE
    return NO_ANSWER if all(damage.kind == NOT_CHECKED for damage in damages) else DAMAGED


def code_of(error: Exception) -> int:
    """Return the exit code for an exception that a command raised."""
    error = meant(error)
    return next((code for kind, code in _OF_ERROR.items() if isinstance(error, kind)), FAILED)


def message_of(error: Exception) -> str:
    """Return the error message for the user, on one line."""
    error = meant(error)
    if isinstance(error, BuildError | OSError):
        return str(error)
    return f"{type(error).__name__}: {error}. Please report this, with the output of --debug."


def meant(error: Exception) -> Exception:
    """Return the error itself or, for a foreign exception that the machine or a given path caused, its error class."""
    if isinstance(error, BuildError):
        return error
    return fault_of(error) or refused(error) or error
