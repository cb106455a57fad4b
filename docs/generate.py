"""Write what the documentation says about tables, store, settings and errors from the code that defines them.

Run ``python docs/generate.py`` after a change there; a test refuses pages that are out of date.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np
from pydantic.fields import FieldInfo

import spectralearth_build
from spectralearth_build import columns, errors, tables
from spectralearth_build.cli.codes import MEANING
from spectralearth_build.config import Config
from spectralearth_build.downstream.grid_config import (
    EncoderEntry,
    GridAxes,
    GridConfig,
    PublishedResult,
    TaskEntry,
)
from spectralearth_build.evaluate.task_config import EvaluateConfig, Training
from spectralearth_build.pretrain.recipes import Augmentation
from spectralearth_build.pretrain.training_config import EncoderConfig, PretrainConfig
from spectralearth_build.settings import Section
from spectralearth_build.settings.reading import section_of
from spectralearth_build.settings.writing import allowed
from spectralearth_build.store import schema

FOLDER = Path(__file__).parent
REFERENCE = ("building", "reading", "checking", "splitting", "labelling", "exporting", "training", "settings")
"""Pages of the API reference, in order."""
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
    """Return a page with its marked blocks written again."""
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
    return "\n\n".join(_sections(Config, ""))


def _sections(kind: type[Section], prefix: str) -> Iterable[str]:
    """Each section below a section, with its keys, and those below it."""
    for name, field in kind.model_fields.items():
        if (section := section_of(field)) is not None:
            yield f"## [{prefix}{name}]\n\n{_about(section)}\n\n{_keys(section)}"
            yield from _sections(section, f"{prefix}{name}.")


def downstream_settings() -> str:
    """Every table of a benchmark's configuration with its keys; [run] is that of every configuration."""
    kinds = {
        "": GridConfig,
        "[[tasks]]": TaskEntry,
        "[[encoders]]": EncoderEntry,
        "[[grid]]": GridAxes,
        "[evaluate], [evaluate.frozen], ... and [[tasks]]": Training,
        "[[published]]": PublishedResult,
    }
    parts = []
    for title, section in kinds.items():
        inherited = tuple(Training.model_fields) if section is TaskEntry else ()
        heading = f"**{title}** {_about(section)}" if title else "At the top:"
        parts.append(f"{heading}\n\n{_keys(section, without=inherited)}")
    return "\n\n".join(parts)


def pretrain_settings() -> str:
    """Every section of a pretraining run with its keys; the augmentations, which are alike, once."""
    parts = ["At the top:\n\n" + _keys(PretrainConfig)]
    views: list[str] = []
    for name, field in PretrainConfig.model_fields.items():
        if (section := section_of(field)) is None:
            continue
        views += [f"[{name}.{key}]" for key, leaf in section.model_fields.items() if section_of(leaf)]
        parts.append(f"**[{name}]** {_about(section)}\n\n{_keys(section)}")
    parts.append(f"**{', '.join(views)}** {_about(Augmentation)}\n\n{_keys(Augmentation)}")
    return "\n\n".join(parts)


def evaluate_settings() -> str:
    """The settings of an evaluation; those of the network once."""
    network = f"**[encoder]** {_about(EncoderConfig)}\n\n{_keys(EncoderConfig)}"
    return f"{_keys(EvaluateConfig)}\n\n{network}"


def _keys(section: type[Section], without: Collection[str] = ()) -> str:
    """The settings of a section as a table; sections in it only where their defaults are of their own."""
    rows = []
    for key, leaf in section.model_fields.items():
        if key in without or not leaf.description:
            continue
        meaning = " ".join(f"{leaf.description} {allowed(leaf)}".split())
        rows.append((f"`{key}`", _default(leaf), meaning))
    return markdown(("key", "default", "meaning"), rows)


def _about(section: type[Section]) -> str:
    return (section.__doc__ or "").splitlines()[0]


def _default(leaf: FieldInfo) -> str:
    if leaf.is_required():
        return "needed"
    default = leaf.get_default(call_default_factory=True)
    if isinstance(default, Section):
        own = [f"{name} = {json.dumps(value)}" for name, value in default.given().items()]
        return f"`{', '.join(own)}`" if own else ""
    if default is None or default == "":
        return "absent" if default is None else "empty"
    return f"`{json.dumps(default)}`"


def product_errors() -> str:
    """What can be wrong with a product."""
    kinds = [
        kind
        for kind in _classes()
        if issubclass(kind, errors.ProductError) and kind is not errors.ProductError
    ]
    return markdown(
        ("class", "status", "meaning", "what to do"),
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


def public_names() -> str:
    """What the package exports, as the pages of the reference group it."""
    parts = []
    for page in REFERENCE:
        text = (FOLDER / "reference" / f"{page}.md").read_text(encoding="utf-8")
        title = text.splitlines()[0].removeprefix("# ")
        rows = []
        for name in re.findall(r"^::: spectralearth_build\.(\w+)$", text, re.MULTILINE):
            about = (inspect.getdoc(getattr(spectralearth_build, name)) or "").splitlines()[0]
            code = re.sub(r"``?([^`]+)``?", r"`\1`", about)
            rows.append((f"`{name}`", code))
        parts.append(f"## [{title}](reference/{page}.md)\n\n{markdown(('name', 'what it is'), rows)}")
    return "\n\n".join(parts)


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
    "downstream": downstream_settings,
    "pretrain": pretrain_settings,
    "evaluate": evaluate_settings,
    "product_errors": product_errors,
    "run_errors": run_errors,
    "exit_codes": exit_codes,
    "public_names": public_names,
}

if __name__ == "__main__":
    main()
