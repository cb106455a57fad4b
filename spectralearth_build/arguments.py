"""Arguments of Python calls: an impossible one is refused at once, with what was expected."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from numbers import Real

from spectralearth_build.errors import UsageError


def whole(name: str, value: object, least: int = 0) -> int:
    """An argument that is a whole number.

    Args:
        name: of the argument.
        value: what was given.
        least: smallest number that makes sense.

    Raises:
        UsageError: it is none, or is smaller.
    """
    given = _real(value)
    if given.is_integer() and given >= least:
        return round(given)
    what = f"{name} must be a whole number, {least} or more; got {value!r}."
    raise UsageError(what, remedy=f"Give a whole number, {least} or more.")


def number(name: str, value: object, low: float, high: float = math.inf) -> float:
    """An argument that is a number between two others, both included.

    Args:
        name: of the argument.
        value: what was given.
        low: smallest value.
        high: largest value.

    Raises:
        UsageError: it is no number, not a finite one, or lies outside.
    """
    given = _real(value)
    if low <= given <= high:
        return given
    span = f"from {low:g} to {high:g}" if math.isfinite(high) else f"{low:g} or more"
    raise UsageError(f"{name} must be a number, {span}; got {value!r}.", remedy=f"Give a number {span}.")


def _real(value: object) -> float:
    """A finite number as such; NaN for anything else, which no comparison likes."""
    finite = isinstance(value, int | float | Real) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if finite else math.nan  # type: ignore[arg-type]


def names(name: str, value: object, known: Collection[str]) -> list[str]:
    """An argument that lists names.

    Args:
        name: of the argument.
        value: what was given.
        known: names that there are.

    Raises:
        UsageError: it is no list of names, or one is unknown.
    """
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise UsageError(
            f"{name} must be a list of names; got {value!r}.", remedy=f"Pass {name}=[{str(value)!r}]."
        )
    listed = list(value)
    if unknown := [item for item in listed if item not in known]:
        raise UsageError(f"{name} has no {unknown[0]!r}.", remedy=f"Choose among {', '.join(known)}.")
    return listed


def pair(name: str, value: object, what: str) -> Sequence[object]:
    """An argument of two items.

    Args:
        name: of the argument.
        value: what was given.
        what: the two, as one writes them.

    Raises:
        UsageError: it is no list or tuple of two.
    """
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise UsageError(f"{name} must be two values, {what}; got {value!r}.", remedy=f"Pass {name}={what}.")
    return value
