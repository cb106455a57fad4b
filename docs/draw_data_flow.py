"""Draw ``data-flow.svg``: what each stage reads and writes. Run ``python docs/draw_data_flow.py`` after a change."""

from __future__ import annotations

from html import escape
from pathlib import Path

BOXES = (
    ("archive", ("folders", ".zip", ".tar.gz of .zip"), "products as delivered"),
    ("tiles", ("tiles.parquet", "work/scan", "work/masks"), "one row per product"),
    ("plan", ("overlaps, tuples", "locations, patches", "plan.json, plan.png"), "a row for every patch"),
    ("shards", ("store.zarr/reflectance", "commits/"), "one file, one record"),
    ("dataset", ("store.zarr/zarr.json", "index, statistics", "manifest.json"), "opens once complete"),
)
STAGES = (
    ("scan", "one task per product"),
    ("plan", "bundles of components"),
    ("cut", "one task per tile"),
    ("publish", "root last"),
)
READERS = (
    ("verify", "checks all hashes"),
    ("report", "report.html"),
    ("open_dataset", "query, patch, series"),
)
BOX, GAP, TOP, TALL = 168, 92, 64, 132

STYLE = """
text { font: 14px system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif; fill: #1c2126; text-anchor: middle }
.name { font-weight: 650; font-size: 16px } .small { font-size: 12.5px; fill: #5c6671 }
.stage { font-weight: 650; fill: #2a6f97 } rect { fill: #f3f5f7; stroke: #c3cad2 }
.run { fill: none; stroke-dasharray: 5 4 } path { stroke: #2a6f97; stroke-width: 1.6; fill: none }
.head { fill: #2a6f97; stroke: none } .dash { stroke: #a9b3bd; stroke-dasharray: 3 4; stroke-width: 1.2 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6e9ec } .small { fill: #a3adb8 } .stage { fill: #7fbfe2 } rect { fill: #1d2125; stroke: #4a535c }
  .run { fill: none } path { stroke: #7fbfe2 } .head { fill: #7fbfe2; stroke: none } .dash { stroke: #5a646e }
}
"""


def draw() -> str:
    """The picture as SVG."""
    width = len(BOXES) * BOX + len(STAGES) * GAP + 40
    parts = [_box(k, *box) for k, box in enumerate(BOXES)]
    parts += [_arrow(k, *stage) for k, stage in enumerate(STAGES)]
    parts += [_executor(), *(_reader(k, *reader) for k, reader in enumerate(READERS))]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 30 {width} 336" role="img" aria-label="Data flow">\n'
        f"<style>{STYLE}</style>\n" + "\n".join(parts) + "\n</svg>\n"
    )


def _left(k: int) -> int:
    return 20 + k * (BOX + GAP)


def _text(x: float, y: float, words: str, kind: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}" class="{kind}">{escape(words)}</text>'


def _line(points: str, kind: str = "") -> str:
    return f'<path d="{points}" class="{kind}"/>'


def _box(k: int, name: str, files: tuple[str, ...], note: str) -> str:
    x, middle = _left(k), _left(k) + BOX / 2
    lines = [_text(middle, TOP + 56 + 20 * i, file) for i, file in enumerate(files)]
    return "\n".join([
        f'<rect x="{x}" y="{TOP}" width="{BOX}" height="{TALL}" rx="8"/>',
        _text(middle, TOP + 28, name, "name"), *lines, _text(middle, TOP - 14, note, "small"),
    ])  # fmt: skip


def _arrow(k: int, name: str, note: str) -> str:
    start, end, y = _left(k) + BOX, _left(k + 1), TOP + TALL / 2
    middle = (start + end) / 2
    return "\n".join([
        _line(f"M{start + 4} {y} H{end - 12}"), _line(f"M{end - 3} {y} l-11 -5 v10 z", "head"),
        _text(middle, y - 10, name, "stage"), *_wrapped(middle, y + 20, note),
    ])  # fmt: skip


def _wrapped(x: float, y: float, note: str) -> list[str]:
    """A note in lines that fit between two boxes."""
    first, _, last = note.rpartition(" ")
    return [_text(x, y, first, "small"), _text(x, y + 15, last, "small")]


def _executor() -> str:
    """Who runs the tasks of the first three stages."""
    left, right, y = _left(0) + BOX, _left(3), TOP + TALL + 84
    stems = [(_left(k) + BOX + _left(k + 1)) / 2 for k in range(3)]
    return "\n".join([
        *(_line(f"M{x} {TOP + TALL / 2 + 44} V{y}", "dash") for x in stems),
        f'<rect x="{left}" y="{y}" width="{right - left}" height="60" rx="8" class="run"/>',
        _text((left + right) / 2, y + 26, "Executor", "name"),
        _text((left + right) / 2, y + 46, "this process · local Dask cluster · existing Dask cluster", "small"),
    ])  # fmt: skip


def _reader(k: int, name: str, note: str) -> str:
    """Who reads the finished dataset."""
    x, y = _left(4) + BOX / 2, TOP + TALL
    top = y + 42 + 46 * k
    stem = [_line(f"M{x} {y + 4} V{y + 20}"), _line(f"M{x} {y + 28} l-5 -11 h10 z", "head")] if k == 0 else []
    return "\n".join([*stem, _text(x, top + 4, name, "stage"), _text(x, top + 20, note, "small")])


if __name__ == "__main__":
    Path(__file__).with_name("data-flow.svg").write_text(draw(), encoding="utf-8")
