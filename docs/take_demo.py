"""Put the tables and pictures of a benchmark into docs/downstream.md.

Run ``python docs/take_demo.py OUT`` after ``spectralearth-build downstream --demo OUT``.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
PAGE, PICTURES = FOLDER / "downstream.md", FOLDER / "downstream"
BLOCK = re.compile(r"(<!-- demo -->\n).*?(<!-- end of demo -->)", re.DOTALL)
TABLE = re.compile(r"^## (.+)$", re.MULTILINE)


def main(out: Path) -> None:
    """Bring the page up to date with what ``out`` holds."""
    shutil.rmtree(PICTURES, ignore_errors=True)
    shutil.copytree(out / "pictures", PICTURES)
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), out), encoding="utf-8")


def filled(text: str, out: Path) -> str:
    """Return a page with its block written again: all tables except details of a task, then the pictures."""
    _, *parts = TABLE.split((out / "tables.md").read_text(encoding="utf-8"))
    sheets = dict(zip(parts[::2], parts[1::2], strict=True))
    kept = [f"### {title}\n\n{body.strip()}" for title, body in sheets.items() if not _is_details(body)]
    shown = [f"![{path.stem}](downstream/{path.name})" for path in sorted((out / "pictures").glob("*.png"))]
    body = "\n\n".join([*kept, *shown])
    return BLOCK.sub(lambda found: f"{found[1]}\n{body}\n\n{found[2]}", text)


def _is_details(table: str) -> bool:
    return "encoder parameters trained" in table


if __name__ == "__main__":
    main(Path(sys.argv[1]))
