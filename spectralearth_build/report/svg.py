"""Matplotlib figures as inline SVG that follows the light or dark theme of the page."""

from __future__ import annotations

import html
import io
import re
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spectralearth_build.report.maps import Theme

# Placeholder colours: each is replaced by a variable of the page's style sheet.
THEME = Theme(ink="#010101", muted="#020202", land="#030303", line="#040404", paper="#050505")
ACCENT, SOFT, WARM = "#060606", "#070707", "#080808"
_VARIABLES = {
    THEME.ink: "ink", THEME.muted: "muted", THEME.land: "land", THEME.line: "line", THEME.paper: "paper",
    ACCENT: "accent", SOFT: "soft", WARM: "warm",
}  # fmt: skip
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "spectralearth",
    "font.family": "sans-serif",
}
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
_UNWANTED = (
    re.compile(r"\s*<(metadata|style)\b.*?</\1>", re.DOTALL),
    re.compile(r' id="(?![pm][0-9a-f]{10}|C\d|image)[^"]*"'),  # ids that every figure repeats, not the hashes
    re.compile(r" ?font-family: [^;\"]*;?"),  # use the font of the page
)


def chart(title: str, size: tuple[float, float] = (3.8, 2.2)) -> tuple[Figure, Axes]:
    """Return an empty chart in the style of the page. Size in inches (72 units of the SVG each)."""
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    if title:
        axes.set_title(title, loc="left", fontsize=9, color=THEME.ink)
    return figure, axes


def finish(axes: Axes, xlabel: str = "", ylabel: str = "", grid: str = "y", theme: Theme = THEME) -> None:
    """Style axes plainly: no box, faint grid, small muted text."""
    axes.set_xlabel(xlabel, fontsize=8, color=theme.muted)
    axes.set_ylabel(ylabel, fontsize=8, color=theme.muted)
    axes.tick_params(labelsize=8, colors=theme.muted, length=2)
    axes.grid(axis=grid, color=theme.line, linewidth=0.6)  # type: ignore[arg-type]
    axes.set_axisbelow(True)
    axes.set_facecolor("none")
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(theme.line)


def legend(axes: Axes, columns: int = 1) -> None:
    """Add a frameless legend in small muted text, above the chart on the right."""
    axes.legend(
        fontsize=7.5, labelcolor=THEME.muted, frameon=False, ncols=columns, handlelength=1.2, columnspacing=1.2,
        loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0, borderpad=0.2,
    )  # fmt: skip


def inline(figure: Figure, label: str) -> str:
    """Return the figure as an ``<svg>`` element. Equal figures give equal text.

    Args:
        figure: drawn in the colours of `THEME`.
        label: alternative text for screen readers.
    """
    text = io.StringIO()
    with mpl.rc_context(_SETTINGS):
        figure.savefig(
            text,
            format="svg",
            transparent=True,
            metadata=_NO_METADATA,
        )
    body = text.getvalue()
    box = re.search(r'viewBox="([^"]+)"', body)
    assert box is not None
    inner = body[body.index(">", body.index("<svg")) + 1 : body.rindex("</svg>")]
    for unwanted in _UNWANTED:
        inner = unwanted.sub("", inner)
    for colour, name in _VARIABLES.items():
        inner = inner.replace(colour, f"var(--{name})")
    return f'<svg viewBox="{box.group(1)}" role="img" aria-label="{html.escape(label)}">{inner}</svg>'
