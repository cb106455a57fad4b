"""The file of a benchmark: read, checked, and every mistake named by its key."""

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
    """Read a benchmark's TOML file.

    Args:
        path: the file.
        run: settings of [run] that go before those of the file, where they are not empty.

    Raises:
        ConfigError: it cannot be read, or naming each unknown key, bad value or file that is missing.
    """
    given = {f"run.{name}": value for name, value in run.items() if value not in (None, "")}
    config = read(GridConfig, path, given, REMEDY)
    for found, remedy in (
        (_in_braces(config), "Correct the paths."),
        (_no_cells(config), "Set random = true for an encoder, or name other protocols."),
        (_impossible(config), "Give each task a head that goes with it."),
        (_missing(config), "Pretrain them first, or correct the paths."),
    ):
        if wrong := "; ".join(found):
            raise ConfigError(f"{wrong}.", path, remedy)
    return config


def _in_braces(config: GridConfig) -> Iterator[str]:
    """Paths of weights in which something else than {seed} stands in braces."""
    for key, pattern in _patterns(config):
        try:
            pattern.format(seed=0)
        except (AttributeError, LookupError, TypeError, ValueError):
            yield f"{key}: only {{seed}} may stand in braces, got '{pattern}'"


def _no_cells(config: GridConfig) -> Iterator[str]:
    """Why there is nothing to do; names being checked, only the protocols can leave nothing."""
    if not cells_of(config):
        yield "grid: no cell is left, for the only protocol is scratch and no encoder there has random weights"


def _impossible(config: GridConfig) -> Iterator[str]:
    """What `evaluate` would refuse, each mistake once."""
    mistakes = dict[str, str]()
    for cell, (encoder, task) in cells_of(config).items():
        try:
            layered(EvaluateConfig, settings_of(config, encoder, task, cell))
        except ConfigError as error:
            mistakes.setdefault(error.what.rstrip("."), f"tasks.{cell.task}, {cell.protocol}")
    yield from (f"{place}: {what}" for what, place in mistakes.items())


def _missing(config: GridConfig) -> Iterator[str]:
    """Files of weights that cells read and that are not there."""
    gone = {file for file in weight_files(config) if not Path(file).is_file()}
    seeds = {seed for grid in config.grid for seed in grid.seeds}
    for key, pattern in _patterns(config):
        files = {pattern.format(seed=seed) for seed in seeds}
        yield from (f"{key}: there is no {file}" for file in sorted(files & gone))


def _patterns(config: GridConfig) -> Iterator[tuple[str, str]]:
    """Each path of weights as it is written, behind its key."""
    for encoder in config.encoders:
        for name, pattern in encoder.pretrained.items():
            yield f"encoders.{encoder.name}.pretrained.{name}", pattern
