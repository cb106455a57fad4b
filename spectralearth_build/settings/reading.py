"""Reading of settings from a TOML file and single overrides. Every mistake is reported with its key."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from spectralearth_build.errors import ConfigError
from spectralearth_build.settings.section import Section

S = TypeVar("S", bound=Section)
Tree = dict[str, Any]


def read(
    kind: type[S],
    path: Path | None = None,
    overrides: Mapping[str, Any] | Iterable[str] = (),
    remedy: str | None = None,
) -> S:
    """Read a TOML file, apply overrides, and validate the result.

    Args:
        kind: the class of the settings.
        path: TOML file; None for the defaults.
        overrides: values by dotted key, such as ``{"plan.value": "pairs"}``, or texts such as ``plan.value=pairs``.
            Texts are converted to the type of the field. Lists and tables are written as in TOML.
        remedy: the remedy for mistakes; None: that of ConfigError.

    Raises:
        ConfigError: The file is not TOML, or settings are unknown or invalid. The message names each.
    """
    tree = _file(path, remedy) if path is not None else {}
    return layered(kind, tree, overrides, path, remedy)


def layered(
    kind: type[S],
    tree: Tree,
    overrides: Mapping[str, Any] | Iterable[str] = (),
    path: Path | None = None,
    remedy: str | None = None,
) -> S:
    """Apply overrides to a tree of settings, and validate the result; see `read`."""
    try:
        pairs = overrides.items() if isinstance(overrides, Mapping) else map(_pair, overrides)
        for key, value in pairs:
            _put(tree, key, value)
    except ValueError as error:
        raise ConfigError(str(error), path, remedy) from None
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        mistakes = dict.fromkeys(_explain(item, kind, tree) for item in error.errors())
        raise ConfigError("; ".join(mistakes) + ".", path, remedy) from None


def _file(path: Path, remedy: str | None) -> Tree:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"Not a readable TOML file: {error}.", path, remedy) from error


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ValueError(f"'{text}' is not KEY=VALUE, such as train.batch=8.")
    return key.strip(), value.strip()


def _put(tree: Tree, key: str, value: Any) -> None:  # noqa: ANN401
    """Set the value of a dotted key."""
    *sections, name = key.split(".")
    if not all((*sections, name)):
        raise ValueError(f"Settings must be named section.key, got '{key}'.")
    for section in sections:
        branch = tree.setdefault(section, {})
        if isinstance(branch, Section):
            branch = tree[section] = branch.given()
        if not isinstance(branch, dict):
            raise ValueError(f"'{key}': {section} is a single value, not a section.")
        tree = branch
    tree[name] = _value(value) if isinstance(value, str) else value


def _value(text: str) -> Any:  # noqa: ANN401
    """Parse lists and tables as TOML. Everything else is left to the type of the field."""
    if not text.startswith(("[", "{")):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _explain(item: Any, kind: type[Section], tree: Tree) -> str:  # noqa: ANN401
    """Describe a mistake with its key. List entries are identified by name."""
    words = list[str]()
    place: Any = tree
    known = kind
    for part in item["loc"]:
        if not _holds(place, part) and not isinstance(part, str):
            continue
        place = place[part] if _holds(place, part) else None
        named = isinstance(part, int) and isinstance(place, dict) and "name" in place
        words.append(str(place["name"] if named else part))
        known = _section_at(known, part)
    where, what = ".".join(words), str(item["msg"]).removeprefix("Value error, ")
    if item["type"] != "extra_forbidden":
        return f"{where}: {what}" if where else what
    there = ", ".join(known.model_fields)
    return f"unknown setting '{where}' (known here: {there})"


def _holds(place: Any, part: Any) -> bool:  # noqa: ANN401
    if isinstance(place, list | tuple):
        return isinstance(part, int) and part < len(place)
    return isinstance(place, dict) and part in place


def _section_at(kind: type[Section], part: Any) -> type[Section]:  # noqa: ANN401
    """Return the section type of a key of ``kind``, alone or in a list; ``kind`` itself if it has none."""
    field = kind.model_fields.get(part) if isinstance(part, str) else None
    return (section_of(field) if field else None) or kind


def section_of(field: FieldInfo) -> type[Section] | None:
    """Return the section type of a field, alone or in a list; None: it is a value."""
    for kind in (field.annotation, *get_args(field.annotation)):
        if isinstance(kind, type) and issubclass(kind, Section):
            return kind
    return None
