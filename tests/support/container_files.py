"""What Containerfile and spectralearth-build.def say, in the same terms."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "workflows/container"


@dataclass(frozen=True)
class Recipe:
    """How an image is made."""

    base: str
    arguments: dict[str, str]
    """Values that the one who builds may change, with their defaults."""
    environment: dict[str, str]
    copied: list[tuple[str, str]]
    """Files of the checkout and where they go."""
    steps: list[str]
    """Shell commands, with single spaces."""
    entry: list[str]
    """What the image runs, before the user's words."""


def of_containerfile() -> Recipe:
    """Read Containerfile."""
    said: dict[str, list[str]] = {}
    for line in _lines((FOLDER / "Containerfile").read_text(encoding="utf-8")):
        word, rest = line.split(maxsplit=1)
        said.setdefault(word, []).append(rest)
    assert said.keys() <= {"FROM", "ARG", "ENV", "COPY", "RUN", "USER", "ENTRYPOINT"}
    copies = [line.split() for line in said["COPY"]]
    (base,), (entry,) = said["FROM"], said["ENTRYPOINT"]
    return Recipe(
        base,
        _pairs(said["ARG"]),
        _pairs(said["ENV"]),
        [(source, target) for *sources, target in copies for source in sources],
        said["RUN"],
        json.loads(entry),
    )


def of_definition() -> Recipe:
    """Read spectralearth-build.def. What %post sets before its first step is what the image has."""
    text = (FOLDER / "spectralearth-build.def").read_text(encoding="utf-8")
    head, *parts = re.split(r"^%(\w+)\n", text, flags=re.MULTILINE)
    sections = {name: _lines(body) for name, body in zip(parts[::2], parts[1::2], strict=True)}
    header = dict(line.split(": ") for line in _lines(head))
    assert header.keys() == {"Bootstrap", "From"}
    arguments, environment = _pairs(sections["arguments"]), _exports(sections["environment"])
    given = [f'{name}="{{{{ {name} }}}}"' for name in arguments]
    before = [f"export {name}={value}" for name, value in environment.items()] + given
    count = len(before)
    assert sections["post"][:count] == before
    (run,) = sections["runscript"]
    assert run.startswith("exec ")
    assert run.endswith(' "$@"')
    return Recipe(
        header["From"],
        arguments,
        environment,
        [(source, target) for source, target in map(str.split, sections["files"])],
        sections["post"][count:],
        run.split()[1:-1],
    )


def _lines(text: str) -> list[str]:
    """Commands, each in one line with single spaces, without comments."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [" ".join(line.split()) for line in joined.splitlines() if line.strip()]


def _pairs(lines: list[str]) -> dict[str, str]:
    return dict(line.split("=", 1) for line in lines)


def _exports(lines: list[str]) -> dict[str, str]:
    assert all(line.startswith("export ") for line in lines)
    return _pairs([line.removeprefix("export ") for line in lines])
