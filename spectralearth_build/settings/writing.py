"""Settings as TOML, with or without descriptions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from spectralearth_build.settings.section import Section


def template(settings: Section, verb: str) -> str:
    """Return settings as commented TOML, with a first line that names their command."""
    return f"# Settings of `spectralearth-build {verb}`, all at their defaults.\n\n{to_toml(settings, comments=True)}"


def to_toml(settings: Section, comments: bool = False) -> str:
    """Return settings as TOML that `read` accepts.

    Args:
        settings: the settings.
        comments: whether to add the description of each setting and section.
    """
    return "\n".join(_lines(settings, "", comments)).lstrip("\n") + "\n"


def allowed(field: FieldInfo) -> str:
    """Return the choices of a setting as a sentence; empty if it has none."""
    choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    shown = ", ".join(json.dumps(choice) if choice == "" else str(choice) for choice in choices)
    return f"One of: {shown}." if choices else ""


def _lines(settings: Section, name: str, comments: bool) -> Iterator[str]:
    """Yield the values of a section, then its subsections."""
    if name:
        yield ""
        if comments:
            yield f"# {(type(settings).__doc__ or '').splitlines()[0]}"
        yield f"[{name}]"
    inner = {}
    for key, field in type(settings).model_fields.items():
        value = getattr(settings, key)
        if isinstance(value, Section):
            inner[f"{name}.{key}" if name else key] = value
            continue
        if comments:
            yield f"# {' '.join(f'{field.description} {allowed(field)}'.split())}"
        if value is not None:
            yield f"{key} = {_plain(value)}"
        elif comments:  # TOML has no null, so the key is left out
            yield f"# {key} ="
    for place, section in inner.items():
        yield from _lines(section, place, comments)


def _plain(value: Any) -> str:  # noqa: ANN401
    return value.isoformat() if isinstance(value, date) else json.dumps(value, ensure_ascii=False)
