"""Settings of a pretraining run as TOML: read, checked, and written with what each means."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import tomllib
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError

from spectralearth_build.errors import ConfigError
from spectralearth_build.pretrain.config import PretrainConfig

T = TypeVar("T")
REMEDY = "See `spectralearth-build pretrain-template`."


def load(path: Path | None, overrides: list[str]) -> PretrainConfig:
    """Read a TOML file and lay ``section.key=value`` over it.

    Raises:
        ConfigError: naming each unknown key or bad value.
    """
    return load_as(PretrainConfig, {}, path, overrides, REMEDY)


def load_as(kind: type[T], tree: dict[str, Any], path: Path | None, overrides: list[str], remedy: str) -> T:
    """Lay a TOML file and then ``section.key=value`` over settings, and make a dataclass of them.

    Args:
        kind: the dataclass.
        tree: settings; changed.
        path: the file, if there is one.
        overrides: what was given one by one.
        remedy: what to do about mistakes.

    Raises:
        ConfigError: naming each unknown key or bad value.
    """
    if path is not None:
        try:
            tree |= tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"Not a readable TOML file: {error}.", path, remedy) from error
    for text in overrides:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"'{text}' is not section.key=value.", remedy=remedy)
        *sections, key = name.strip().split(".")
        branch = tree
        for section in sections:
            branch = branch.setdefault(section, {})
            if not isinstance(branch, dict):
                raise ConfigError(f"'{name}': {section} is no section.", path, remedy)
        branch[key] = _value(value.strip())
    if wrong := [*_unknown(tree, kind, "")]:
        raise ConfigError(f"Unknown settings: {', '.join(wrong)}.", path, remedy)
    try:
        return TypeAdapter(kind).validate_python(tree)
    except ValidationError as error:
        mistakes = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise ConfigError(f"{mistakes}.", path, remedy) from error


def template() -> str:
    """All settings at their defaults, with comments."""
    head = "# Settings of `spectralearth-build pretrain`, all at their defaults.\n\n"
    return head + "\n".join(_lines(PretrainConfig(), "")) + "\n"


def meanings(kind: type) -> dict[str, str]:
    """What stands below each field of a dataclass."""
    body = ast.parse(inspect.getsource(kind)).body[0]
    assert isinstance(body, ast.ClassDef)
    found: dict[str, str] = {}
    for field, text in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr)
        ):
            found[field.target.id] = " ".join(str(ast.literal_eval(text.value)).split())
    return found


def _lines(settings: Any, section: str) -> list[str]:  # noqa: ANN401
    """A dataclass as TOML: first its values, then its sections."""
    lines = [f"# {(type(settings).__doc__ or '').splitlines()[0]}", f"[{section}]"] if section else []
    inner: list[str] = []
    about = meanings(type(settings))
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if dataclasses.is_dataclass(value):
            inner += ["", *_lines(value, f"{section}.{field.name}" if section else field.name)]
        else:
            lines += [f"# {about[field.name]}"] if field.name in about else []
            lines.append(f"{field.name} = {json.dumps(value)}")
    return lines + inner


def _unknown(tree: dict[str, Any], kind: type, prefix: str) -> list[str]:
    known = get_type_hints(kind)
    wrong = []
    for key, value in tree.items():
        if key not in known:
            wrong.append(prefix + key)
        elif isinstance(value, dict) and dataclasses.is_dataclass(known[key]):
            wrong += _unknown(value, known[key], f"{prefix}{key}.")
    return wrong


def _value(text: str) -> Any:  # noqa: ANN401
    """A value of the command line: as TOML where it is TOML, else as text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
