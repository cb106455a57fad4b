"""Result tables: a row for each encoder and initialisation; for each task, columns frozen, full and adapter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import pandas as pd

from spectralearth_build.downstream.grid import percent
from spectralearth_build.downstream.grid_config import GridConfig, PublishedResult
from spectralearth_build.downstream.results import GROUP, against_random, figures_of, means, shown

COLUMNS = {"frozen": ("frozen",), "full": ("finetune", "scratch"), "adapter": ("adapter",)}
"""Protocols in each column. From random weights, full training is training from scratch."""
WORDS = {"oa": "overall accuracy", "aa": "average accuracy", "iou": "IoU", "f1": "F1", "map": "mAP"}
THEIRS = "published, theirs"


@dataclass(frozen=True)
class Entry:
    """One table entry. Shares are in percent."""

    text: str
    best: bool = False
    theirs: bool = False


@dataclass(frozen=True)
class Line:
    """One table row: names, then entries."""

    names: tuple[str, ...]
    entries: tuple[Entry, ...]
    theirs: bool = False


@dataclass(frozen=True)
class Sheet:
    """A table, for Markdown and HTML."""

    title: str
    names: tuple[str, ...]
    """Headings of the first columns."""
    groups: tuple[tuple[str, tuple[str, ...]], ...]
    """Titles of column groups, and the headings of their columns."""
    lines: tuple[Line, ...]
    about: str = ""
    """Explanation of how to read the table."""

    @property
    def head(self) -> list[str]:
        """Return one heading for each column."""
        return [
            *self.names,
            *(f"{group}, {name}" if group else name for group, names in self.groups for name in names),
        ]

    @property
    def firsts(self) -> list[int]:
        """Return the indices of the first column of each group."""
        return [0, *accumulate(len(names) for _, names in self.groups)][:-1]

    @property
    def rows(self) -> list[list[str]]:
        """Return the text of each row."""
        return [[*line.names, *(entry.text for entry in line.entries)] for line in self.lines]

    def turned(self) -> tuple[list[str], list[list[str]]]:
        """Return headings and rows of the transposed table, for narrow screens. Not transposed if it has no groups."""
        if not any(group for group, _ in self.groups):
            return self.head, self.rows
        head = ["", *(", ".join(line.names) for line in self.lines)]
        columns = zip(*(line.entries for line in self.lines), strict=True)
        titles = self.head[len(self.names) :]
        return head, [
            [title, *(entry.text for entry in column)] for title, column in zip(titles, columns, strict=True)
        ]

    def markdown(self) -> str:
        """Format as Markdown. Our best entries are bold, published ones are italic."""
        rows = [[*line.names, *(_marked(entry) for entry in line.entries)] for line in self.lines]
        ruler = ["---"] * len(self.names) + ["---:"] * (len(self.head) - len(self.names))
        every = (self.head, ruler, *rows)
        return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in every)


def figure_title(figure: str) -> str:
    """Return the title of a figure: IoU macro, F1 micro, mAP macro, overall accuracy."""
    name, _, average = figure.partition("_")
    return f"{WORDS.get(name, name)} {average}".strip()


def number(mean: float, spread: float, n: int, failed: int = 0, missing: int = 0) -> str:
    """Format mean ± spread in percent, with the number of cells."""
    left = [f"{count} {word}" for count, word in ((failed, "failed"), (missing, "missing")) if count]
    if not n:
        return ", ".join(left) or "-"
    text = f"{100 * mean:.1f}" + (f" ± {100 * spread:.1f}" if spread == spread else "")
    return f"{text} ({', '.join([str(n), *left])})"


def sheets(config: GridConfig, results: pd.DataFrame) -> list[Sheet]:
    """Return the main tables, largest label fraction first, and pretrained against random weights if both exist."""
    metrics = {task.name: task.shown for task in config.tasks}
    table, against = shown(results, metrics), against_random(results, metrics)
    found = [main(table, config, fraction) for fraction in sorted(results["fraction"].unique(), reverse=True)]
    return [*found, *([duels(against)] if len(against) else [])]


def main(table: pd.DataFrame, config: GridConfig, fraction: float) -> Sheet:
    """Return the table of one label fraction.

    Args:
        table: output of `results.shown`.
        config: the settings of the comparison, with published numbers.
        fraction: share of the labels.
    """
    part = table[table["fraction"] == fraction]
    tasks = [task for task in config.tasks if (part["task"] == task.name).any()]
    held = [(task.name, column) for task in tasks for column in COLUMNS]
    held = [(task, column) for task, column in held if len(_at(part, task, column))]
    best = {key: _at(part, *key)["mean"].max() for key in held}
    several = len(config.encoders) > 1 or bool(config.published)
    rows = part[["encoder", "initialisation"]].drop_duplicates().itertuples(index=False)
    lines = [
        Line(
            (row.encoder, row.initialisation)[not several :],
            tuple(_entry(_of(part, row, key), best[key]) for key in held),
        )
        for row in rows
    ]
    groups = tuple(
        (
            f"{task.name} ({figure_title(task.shown)})",
            tuple(column for name, column in held if name == task.name),
        )
        for task in tasks
    )
    title = f"{percent(fraction)} % of the labels"
    theirs = _published(config.published, held, fraction)
    return Sheet(title, ("encoder", "weights")[not several :], groups, (*lines, *theirs))


def details(results: pd.DataFrame, task: str) -> Sheet:
    """Return a table of all figures of a task, micro and macro, with trained parameters and samples.

    Args:
        results: output of `results.collect`.
        task: name of the task.
    """
    part = results[results["task"] == task]
    figures = figures_of(part)
    found = [means(part, figure) for figure in figures] or [means(part, "")]
    counts = part.groupby(GROUP, sort=False)[["encoder_trainable", "samples_train"]].max()
    lines = [
        Line(
            (
                str(row.encoder),
                str(row.initialisation),
                word(str(row.protocol)),
                f"{percent(row.fraction)} %",
            ),
            tuple(map(Entry, (*map(_count, counts.iloc[k]), *(_number(figure.iloc[k]) for figure in found)))),
        )
        for k, row in enumerate(found[0].itertuples())
    ]
    heads = (
        "encoder parameters trained",
        "patches",
        *(map(figure_title, figures) if figures else ("cells",)),
    )
    return Sheet(task, ("encoder", "weights", "protocol", "labels"), (("", heads),), tuple(lines))


def duels(rows: pd.DataFrame) -> Sheet:
    """Return a table that compares pretrained with random weights, seed by seed.

    Args:
        rows: output of `results.against_random`.
    """
    heads = ("pretrained", "random", "mean difference", "least difference", "better in")
    lines = []
    for row in rows.itertuples():
        start, labels = f"{row.encoder}, {row.initialisation}", f"{percent(row.fraction)} %"
        gaps = (f"{100 * row.difference:+.1f}", f"{100 * row.least:+.1f}", f"{row.wins} of {row.n}")
        texts = (f"{100 * row.ours:.1f}", f"{100 * row.theirs:.1f}", *gaps)
        names = (row.task, start, labels, word(row.protocol), word(row.rival))
        lines.append(Line(names, tuple(map(Entry, texts))))
    about = (
        "Pairs of the same task, labels and seed that differ only in the initialisation, or also in the "
        "protocol. Differences are in percentage points."
    )
    head = ("task", "encoder", "labels", "protocol", "against random")
    return Sheet("Pretrained against random weights", head, (("", heads),), tuple(lines), about)


def word(protocol: str) -> str:
    """Return the name of a protocol in tables, where finetune is called full."""
    return "full" if protocol == "finetune" else protocol


def _at(part: pd.DataFrame, task: str, column: str) -> pd.DataFrame:
    return part[(part["task"] == task) & part["protocol"].isin(COLUMNS[column])]


def _of(part: pd.DataFrame, row: object, key: tuple[str, str]) -> pd.DataFrame:
    found = _at(part, *key)
    return found[(found["encoder"] == row.encoder) & (found["initialisation"] == row.initialisation)]  # type: ignore[attr-defined]


def _entry(found: pd.DataFrame, best: float) -> Entry:
    if found.empty:
        return Entry("-")
    row = found.iloc[0]
    return Entry(_number(row), bool(row["mean"] == best))


def _number(row: pd.Series) -> str:
    return number(row["mean"], row["spread"], int(row["n"]), int(row["failed"]), int(row["missing"]))


def _count(value: float) -> str:
    return "-" if value != value else f"{value:,.0f}"


def _published(
    rows: Iterable[PublishedResult], held: Sequence[tuple[str, str]], fraction: float
) -> Iterator[Line]:
    """Yield published numbers, one row for each encoder and initialisation."""
    chosen = [row for row in rows if row.fraction == fraction]
    for encoder, start in dict.fromkeys((row.encoder, row.initialisation) for row in chosen):
        of_it = [row for row in chosen if (row.encoder, row.initialisation) == (encoder, start)]
        value = {
            (row.task, column): row.value
            for row in of_it
            for column, names in COLUMNS.items()
            if row.protocol in names
        }
        entries = tuple(
            Entry(f"{100 * value[key]:.1f}" if key in value else "-", theirs=True) for key in held
        )
        yield Line((f"{encoder} ({THEIRS})", start), entries, theirs=True)


def _marked(entry: Entry) -> str:
    if entry.text == "-":
        return "-"
    return f"**{entry.text}**" if entry.best else f"*{entry.text}*" if entry.theirs else entry.text
