"""Tables as text for the terminal, and as Parquet."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from spectralearth_build.files import replacing

WIDTH = 240


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Format a table with a title: the first column left-aligned, numbers right-aligned."""
    drawn = Table(title=title, title_justify="left", title_style="", box=SIMPLE_HEAD)
    for k, name in enumerate(head):
        drawn.add_column(name, justify="right" if k else "left", no_wrap=True)
    for row in rows:
        drawn.add_row(*(number(cell) for cell in row))
    text = io.StringIO()
    Console(file=text, width=WIDTH, color_system=None, markup=False, emoji=False).print(drawn)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def number(cell: object) -> str:
    """Format a cell: with thousands separators, and three digits for small numbers."""
    if isinstance(cell, str):
        return cell
    value = float(str(cell))
    if value != value:
        return "-"
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 1 else f"{value:.2f}" if abs(value) < 100 else f"{value:.1f}"


def percent(share: float) -> str:
    """Format a share as percent."""
    return "-" if share != share else f"{100 * share:.1f} %"


def save(frame: pd.DataFrame, path: Path) -> Path:
    """Write a plain table as Parquet, atomically."""
    with replacing(path) as temporary:
        frame.to_parquet(temporary, index=False)
    return path
