"""Reading and checking of the TOML file of a comparison. Every mistake is reported with its key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from spectralearth_build.downstream.grid import cells_of, settings_of, weight_files
from spectralearth_build.downstream.grid_config import GridConfig
from spectralearth_build.errors import ConfigError
from spectralearth_build.evaluate.task_config import EvaluateConfig
from spectralearth_build.settings import layered, read
from spectralearth_build.shipped import shipped

REMEDY = (
    f"See {shipped('docs/downstream.md')}, which explains each key, "
    f"and {shipped('workflows/downstream.toml')}, a complete example."
)


def load(path: Path, **run: object) -> GridConfig:
    """Read the TOML file of a comparison.

    Args:
        path: path of the file.
        run: settings of [run] that override those of the file, unless empty.

    Raises:
        ConfigError: The file cannot be read, or it has unknown keys, invalid values or missing files. The message names
            each.
    """
    given = {f"run.{name}": value for name, value in run.items() if value not in (None, "")}
    config = read(GridConfig, path, given, REMEDY)
    for found, remedy in (
        (_in_braces(config), "Change the paths."),
        (_no_cells(config), "Set random = true for an encoder, or add other protocols."),
        (_impossible(config), "Give each task a head that it supports, such as head = 'linear'."),
        (_missing(config), "Run `pretrain` to make them, or correct the paths."),
    ):
        if wrong := "; ".join(found):
            raise ConfigError(f"{wrong}.", path, remedy)
    return config


def _in_braces(config: GridConfig) -> Iterator[str]:
    """Yield paths of weights with other placeholders than {seed}."""
    for key, pattern in _patterns(config):
        try:
            pattern.format(seed=0)
        except (AttributeError, LookupError, TypeError, ValueError):
            yield f"{key}: the only placeholder is {{seed}}, got '{pattern}'"


def _no_cells(config: GridConfig) -> Iterator[str]:
    """Yield the reason why there are no cells. Names are checked before, so only protocols can be the reason."""
    if not cells_of(config):
        yield "grid: there are no cells, because the only protocol is scratch and no encoder has random weights"


def _impossible(config: GridConfig) -> Iterator[str]:
    """Yield the settings that `evaluate` would refuse, each mistake once."""
    mistakes = dict[str, str]()
    for cell, (encoder, task) in cells_of(config).items():
        try:
            layered(EvaluateConfig, settings_of(config, encoder, task, cell))
        except ConfigError as error:
            mistakes.setdefault(error.what.rstrip("."), f"tasks.{cell.task}, {cell.protocol}")
    yield from (f"{place}: {what}" for what, place in mistakes.items())


def _missing(config: GridConfig) -> Iterator[str]:
    """Yield missing weights files."""
    gone = {file for file in weight_files(config) if not Path(file).is_file()}
    seeds = {seed for grid in config.grid for seed in grid.seeds}
    for key, pattern in _patterns(config):
        files = {pattern.format(seed=seed) for seed in seeds}
        yield from (f"{key}: there is no {file}" for file in sorted(files & gone))


def _patterns(config: GridConfig) -> Iterator[tuple[str, str]]:
    """Yield each key and path of weights, as written in the file."""
    for encoder in config.encoders:
        for name, pattern in encoder.pretrained.items():
            yield f"encoders.{encoder.name}.pretrained.{name}", pattern
