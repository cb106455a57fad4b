"""Write what the documentation says about tables, store, settings and errors from the code that defines them.

Run ``python docs/generate.py`` after a change there; a test refuses pages that are out of date.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import get_args

import numpy as np
from pydantic.fields import FieldInfo

from spectralearth_build import columns, errors, tables
from spectralearth_build.benchmark.config import BenchmarkConfig, Encoder, Grid, Published, Task, Training
from spectralearth_build.cli.codes import MEANING
from spectralearth_build.config import Config, Section
from spectralearth_build.store import schema

FOLDER = Path(__file__).parent
BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> None:
    """Bring all pages up to date."""
    for page in (*sorted(FOLDER.glob("*.md")), FOLDER.parent / "README.md"):
        before = page.read_text(encoding="utf-8")
        after = filled(before)
        if after != before:
            page.write_text(after, encoding="utf-8")
            print(f"{page.name} rewritten")


def filled(text: str) -> str:
    """A page with the content of its marked blocks made anew."""
    return BLOCK.sub(lambda found: f"{found[1]}\n{PARTS[found[2]]()}\n\n{found[3]}", text)


def table_columns() -> str:
    """Every Parquet table with its columns."""
    parts = []
    for table in tables.ALL:
        rows = [
            (f"`{c.name}`", "geometry" if c.type is columns.GEOMETRY else f"`{c.type}`", c.meaning)
            for c in table.columns
        ]
        parts.append(
            f"### {table.file}\n\n{table.meaning}\n\n{markdown(('column', 'type', 'meaning'), rows)}"
        )
    return "\n\n".join(parts)


def store_arrays() -> str:
    """The arrays of store.zarr beside the pixels."""
    nothing = np.zeros(202)
    coordinates = (
        schema.row_coordinates(1)
        | schema.band_coordinates(nothing, nothing)
        | schema.tile_coordinates([""], nothing[None], nothing[None])
    )
    rows = []
    for name, array in coordinates.items():
        unit = array.attributes.get("units")
        kind = "string" if array.is_text else array.values.dtype.name
        meaning = f"{array.attributes['long_name']}{f', {unit}' if unit else ''}"
        rows.append((f"`{name}`", f"[{', '.join(array.dims)}]", f"`{kind}`", meaning))
    return markdown(("array", "dimensions", "type", "meaning"), rows)


def settings() -> str:
    """Every section of the configuration with its keys."""
    parts = []
    for name, field in Config.model_fields.items():
        section = field.annotation
        assert isinstance(section, type)
        assert issubclass(section, Section)
        rows = []
        for key, leaf in section.model_fields.items():
            default = leaf.default if leaf.default != "" else '""'
            allowed = ", ".join(f"`{choice}`" for choice in get_args(leaf.annotation))
            rows.append(
                (
                    f"`{key}`",
                    f"`{default}`",
                    f"{leaf.description}{f' One of {allowed}.' if allowed else ''}",
                )
            )
        parts.append(f"## [{name}]\n\n{section.__doc__}\n\n{markdown(('key', 'default', 'meaning'), rows)}")
    return "\n\n".join(parts)


def benchmark_settings() -> str:
    """Every table of a benchmark's configuration with its keys; [run] is that of every configuration."""
    kinds = {
        "": BenchmarkConfig,
        "[[tasks]]": Task,
        "[[encoders]]": Encoder,
        "[[grid]]": Grid,
        "[evaluate], [evaluate.frozen], ... and [[tasks]]": Training,
        "[[published]]": Published,
    }
    parts = []
    for title, section in kinds.items():
        inherited = Training.model_fields if section is Task else {}
        plain = [(f"`{key}`", _default(leaf), leaf.description or "") for key, leaf in section.model_fields.items()
                 if key not in inherited and leaf.description]  # fmt: skip
        heading = f"**{title}** {section.__doc__}" if title else "At the top:"
        parts.append(f"{heading}\n\n{markdown(('key', 'default', 'meaning'), plain)}")
    return "\n\n".join(parts)


def _default(leaf: FieldInfo) -> str:
    if leaf.is_required():
        return "needed"
    return "absent" if leaf.default is None or leaf.default == "" else f"`{json.dumps(leaf.default)}`"


def product_errors() -> str:
    """What can be wrong with a product."""
    kinds = [
        kind
        for kind in _classes()
        if issubclass(kind, errors.ProductError) and kind is not errors.ProductError
    ]
    return markdown(
        ("class", "fate", "meaning", "what to do"),
        [(f"`{kind.__name__}`", kind.status, _meaning(kind), kind.remedy) for kind in kinds],
    )


def run_errors() -> str:
    """What can stop a run."""
    kinds = [k for k in _classes() if not issubclass(k, errors.ProductError) and k is not errors.BuildError]
    return markdown(
        ("class", "meaning", "what to do"),
        [(f"`{kind.__name__}`", _meaning(kind), kind.remedy) for kind in kinds],
    )


def exit_codes() -> str:
    """What the command's exit codes mean."""
    return markdown(("code", "meaning"), [(str(code), meaning) for code, meaning in MEANING.items()])


def markdown(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    head = tuple(head)
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _classes() -> list[type[errors.BuildError]]:
    """The error classes, in the order of the source."""
    found = [
        kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.BuildError)
    ]
    return sorted(found, key=lambda kind: inspect.getsourcelines(kind)[1])


def _meaning(kind: type[errors.BuildError]) -> str:
    return " ".join((inspect.getdoc(kind) or "").split())


PARTS = {
    "tables": table_columns,
    "store": store_arrays,
    "settings": settings,
    "benchmark": benchmark_settings,
    "product_errors": product_errors,
    "run_errors": run_errors,
    "exit_codes": exit_codes,
}

if __name__ == "__main__":
    main()
