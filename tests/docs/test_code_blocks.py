"""Every block of code in the documentation is at least written as its language wants it."""

import ast
import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*.md"))]
BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


def shell(text):
    found = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr


def nothing(text):
    """Plain text says nothing that could be checked."""


CHECKS = {
    "python": ast.parse,
    "bash": shell,
    "toml": tomllib.loads,
    "json": json.loads,
    "text": nothing,
    "": nothing,
}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_blocks_are_written_as_their_language_wants(page):
    text = page.read_text(encoding="utf-8")
    blocks = BLOCK.findall(text)
    assert len(blocks) * 2 == len(re.findall(r"^ *```", text, re.MULTILINE)), "a block is not closed"
    for indent, language, code in blocks:
        CHECKS[language](re.sub(f"^{indent}", "", code, flags=re.MULTILINE))


def test_the_checks_find_mistakes():
    for language, wrong in (("python", "a ="), ("toml", "a ="), ("json", "{"), ("bash", "if true")):
        with pytest.raises((SyntaxError, ValueError, AssertionError)):
            CHECKS[language](wrong)
