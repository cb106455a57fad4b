"""The file of a benchmark: read, checked, and every mistake named by its key."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from spectralearth_build.benchmark.config import BenchmarkConfig
from spectralearth_build.benchmark.grid import cells_of, weight_files
from spectralearth_build.errors import ConfigError

REMEDY = "docs/downstream.md explains each key; workflows/benchmark.toml is a complete example."


def load(path: Path, **run: object) -> BenchmarkConfig:
    """Read a benchmark's TOML file.

    Args:
        path: the file.
        run: settings of [run] that go before those of the file, where they are not empty.

    Raises:
        ConfigError: it cannot be read, or naming each unknown key, bad value or file that is missing.
    """
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"Not a readable TOML file: {error}.", path, REMEDY) from error
    if given := {name: value for name, value in run.items() if value not in (None, "")}:
        tree["run"] = {**tree.get("run", {}), **given}
    try:
        config = BenchmarkConfig.model_validate(tree)
    except ValidationError as error:
        mistakes = "; ".join(_explain(item, tree) for item in error.errors())
        raise ConfigError(f"{mistakes}.", path, REMEDY) from error
    for found, remedy in (
        (_in_braces(config), "Correct the paths."),
        (_no_cells(config), "Set random = true for an encoder, or name other protocols."),
        (_missing(config), "Pretrain them first, or correct the paths."),
    ):
        if wrong := "; ".join(found):
            raise ConfigError(f"{wrong}.", path, remedy)
    return config


def _in_braces(config: BenchmarkConfig) -> Iterator[str]:
    """Paths of weights in which something else than {seed} stands in braces."""
    for key, pattern in _patterns(config):
        try:
            pattern.format(seed=0)
        except (AttributeError, LookupError, TypeError, ValueError):
            yield f"{key}: only {{seed}} may stand in braces, got '{pattern}'"


def _no_cells(config: BenchmarkConfig) -> Iterator[str]:
    """Why there is nothing to do; names being checked, only the protocols can leave nothing."""
    if not cells_of(config):
        yield "grid: no cell is left, for the only protocol is scratch and no encoder there has random weights"


def _missing(config: BenchmarkConfig) -> Iterator[str]:
    """Files of weights that cells read and that are not there."""
    gone = {file for file in weight_files(config) if not Path(file).is_file()}
    seeds = {seed for grid in config.grid for seed in grid.seeds}
    for key, pattern in _patterns(config):
        files = {pattern.format(seed=seed) for seed in seeds}
        yield from (f"{key}: there is no {file}" for file in sorted(files & gone))


def _patterns(config: BenchmarkConfig) -> Iterator[tuple[str, str]]:
    """Each path of weights as it is written, behind its key."""
    for encoder in config.encoders:
        for name, pattern in encoder.pretrained.items():
            yield f"encoders.{encoder.name}.pretrained.{name}", pattern


def _explain(item: Any, tree: dict[str, Any]) -> str:  # noqa: ANN401
    """A mistake with the key where it stands; entries of lists by their name."""
    words: list[str] = []
    place: Any = tree
    for part in item["loc"]:
        place = place[part] if isinstance(place, dict) and part in place else (
            place[part] if isinstance(place, list) and isinstance(part, int) and part < len(place) else None
        )  # fmt: skip
        named = isinstance(part, int) and isinstance(place, dict) and "name" in place
        words.append(str(place["name"] if named else part))
    where, what = ".".join(words), str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        return f"unknown setting '{where}'"
    return f"{where}: {what}" if where else what
