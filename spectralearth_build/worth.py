"""The value of a window as a function of its depth: a preset, or a formula of the user."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from spectralearth_build.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Worth: TypeAlias = "npt.NDArray[np.int64]"
"""For each depth from 0 on, the value of a window of that depth."""

PRESETS = {
    "patches": "d",
    "series": "10000 * (d >= 2) + d",
    "pairs": "10000 * d * (d - 1) / 2 + d",
}
"""Presets as formulas of the depth d. The main term weighs 10,000 times as much as the number of dates, which breaks
ties and fills the remaining area."""

_LARGEST = 1 << 32
"""Fractional values are scaled to this maximum and rounded, because placement computes with integers."""
_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {"min": min, "max": max, "sqrt": math.sqrt, "log": math.log}


def worth_of(value: str, min_dates: int, max_depth: int) -> Worth:
    """The value of each depth from 0 to ``max_depth``; 0 below ``min_dates``.

    Args:
        value: a name of `PRESETS`, or a formula in d with numbers, + - * / // **, comparisons (1 or 0), min, max,
            sqrt and log, such as ``min(d, 5)``.
        min_dates: smaller depths have the value 0.
        max_depth: the largest depth to evaluate.

    Raises:
        ConfigError: the formula cannot be parsed, or its value is not a number from 0 to 1e12.
    """
    import numpy as np  # imported here, so that reading settings stays fast

    worth = np.array(_values(value, max_depth))
    worth[: max(1, min_dates)] = 0
    if not (worth == np.round(worth)).all():
        worth = np.where(worth > 0, np.maximum(1, np.round(worth * (_LARGEST / worth.max()))), 0)
    return worth.astype(np.int64)


def check(value: str) -> str:
    """Return the value if `worth_of` can evaluate it.

    Raises:
        ValueError: it cannot.
    """
    try:
        _values(value, 40)
    except ConfigError as error:
        raise ValueError(error.what.removesuffix(".")) from error
    return value


def _values(value: str, max_depth: int) -> list[float]:
    tree = _parsed(PRESETS.get(value, value))
    return [_value(tree, value, depth) if depth else 0.0 for depth in range(max_depth + 1)]


def _parsed(formula: str) -> ast.expr:
    try:
        return ast.parse(formula, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ConfigError(
            f"plan.value is neither one of {', '.join(PRESETS)} nor a formula in d: '{formula}'."
        ) from error


def _value(tree: ast.expr, formula: str, depth: int) -> float:
    try:
        found = float(_evaluated(tree, depth))
    except (ArithmeticError, TypeError, ValueError, RecursionError) as error:
        names = ", ".join(PRESETS)
        raise ConfigError(
            f"plan.value '{formula}' is none of {names}, and as a formula it fails for d = {depth}: {error}."
        ) from error
    if not 0 <= found < 1e12:
        raise ConfigError(f"plan.value '{formula}' is {found:g} for d = {depth}; it must be from 0 to 1e12.")
    return found


def _evaluated(node: ast.AST, depth: int) -> Any:  # noqa: ANN401
    match node:
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.Name(id="d"):
            return depth
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_evaluated(operand, depth))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            a, b = _evaluated(left, depth), _evaluated(right, depth)
            if isinstance(op, ast.Pow) and abs(b) > 16:
                raise ValueError("exponents above 16 are not allowed")
            return _OPERATORS[type(op)](a, b)
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_evaluated(left, depth), _evaluated(right, depth))
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in _FUNCTIONS:
            return _FUNCTIONS[name](*(_evaluated(each, depth) for each in arguments))
    raise ValueError(f"'{ast.unparse(node)}' is not understood")
