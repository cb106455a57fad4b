"""Check arguments of Python calls: refuse an invalid one at once and say what was expected."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from numbers import Real

from spectralearth_build.errors import UsageError


def whole(name: str, value: object, least: int = 0) -> int:
    """Return an argument as a whole number.

    Args:
        name: name of the argument.
        value: the value given.
        least: smallest value allowed.

    Raises:
        UsageError: it is not a whole number, or is too small.
    """
    given = _real(value)
    if given.is_integer() and given >= least:
        return round(given)
    what = f"{name} must be a whole number, {least} or more; got {value!r}."
    raise UsageError(what, remedy=f"Give a whole number, {least} or more.")


def number(name: str, value: object, low: float, high: float = math.inf) -> float:
    """Return an argument as a number between two limits, both included.

    Args:
        name: name of the argument.
        value: the value given.
        low: smallest value allowed.
        high: largest value allowed.

    Raises:
        UsageError: it is not a finite number, or is out of range.
    """
    given = _real(value)
    if low <= given <= high:
        return given
    span = f"from {low:g} to {high:g}" if math.isfinite(high) else f"{low:g} or more"
    raise UsageError(f"{name} must be a number, {span}; got {value!r}.", remedy=f"Give a number {span}.")


def _real(value: object) -> float:
    """The value as a float if it is a finite number; otherwise NaN, which fails every comparison."""
    finite = isinstance(value, int | float | Real) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if finite else math.nan  # type: ignore[arg-type]


def names(name: str, value: object, known: Collection[str]) -> list[str]:
    """Return an argument as a list of names.

    Args:
        name: name of the argument.
        value: the value given.
        known: names allowed.

    Raises:
        UsageError: it is not a list of names, or a name is unknown.
    """
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise UsageError(
            f"{name} must be a list of names; got {value!r}.", remedy=f"Pass {name}=[{str(value)!r}]."
        )
    listed = list(value)
    if unknown := [item for item in listed if item not in known]:
        raise UsageError(f"{name} has no {unknown[0]!r}.", remedy=f"Choose from {', '.join(known)}.")
    return listed


def pair(name: str, value: object, what: str) -> Sequence[object]:
    """Return an argument that must have two items.

    Args:
        name: name of the argument.
        value: the value given.
        what: the two items as a user writes them, for the message.

    Raises:
        UsageError: it is not a list or tuple of two items.
    """
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise UsageError(f"{name} must be two values, {what}; got {value!r}.", remedy=f"Pass {name}={what}.")
    return value
