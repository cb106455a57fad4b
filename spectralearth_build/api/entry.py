"""What all public functions have in common: their arguments are read, and their errors told, in one way."""

from __future__ import annotations

import functools
import multiprocessing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from spectralearth_build.errors import BuildError, UsageError, require_utf8
from spectralearth_build.signals import stop_on_signals
from spectralearth_build.storage.url import Remote, parse

if TYPE_CHECKING:
    from spectralearth_build.config import Config

P = ParamSpec("P")
R = TypeVar("R")

Settings = Mapping[str, Any]
"""Settings by dotted key, such as ``{"plan.value": "pairs"}``, or by section, as in a TOML file."""


def public(function: Callable[P, R]) -> Callable[P, R]:
    """Make a function of the package public.

    Signals stop it at a safe point. An error of the system, such as a full disk, becomes a `BuildError` that says what
    to do; an error that nobody foresaw stays as it is.
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        _refuse_in_worker()
        with stop_on_signals():
            try:
                return function(*args, **kwargs)
            except BuildError:
                raise
            except Exception as error:
                from spectralearth_build.faults import fault_of, refused

                if meant := fault_of(error) or refused(error):
                    raise meant from error
                raise

    return call


def _refuse_in_worker() -> None:
    """Refuse a call that comes only because a worker that starts imports the user's script.

    Raises:
        UsageError: the script is being imported by a worker.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise UsageError(
            "The script calls this again in each worker process that it starts.",
            remedy="Put what the script does under `if __name__ == '__main__':`.",
        )


def config_of(config: Config | Settings | str | Path | None) -> Config:
    """The settings of a build, however they are given.

    Args:
        config: checked settings, settings by name, the path of a TOML file, or None for the defaults.

    Raises:
        ConfigError: naming each unknown key or bad value, and what is allowed.
    """
    from spectralearth_build.config import Config, load

    if isinstance(config, Config):
        return config
    if config is None or isinstance(config, Mapping):
        return load(None, config)
    return load(Path(config))


def load_config(path: str | Path | None = None, overrides: Settings | None = None) -> Config:
    """Read the settings of a build from a TOML file, lay overrides over them, and check the result.

    Args:
        path: TOML file, such as ``spectralearth-build config template`` prints; None: the defaults.
        overrides: settings by dotted key.

    Raises:
        ConfigError: naming each unknown key or bad value, and what is allowed.

    Examples:
        ```python
        config = load_config("build.toml", {"run.workers": 4})
        build_dataset("enmap", "dataset", config)
        ```
    """
    from spectralearth_build.config import load

    return load(None if path is None else Path(path), overrides or {})


def place(given: str | Path | Remote, needed: bool = True) -> Path | Remote:
    """Where an archive or a dataset lies: a folder, or a place on an object store.

    Args:
        given: path or URL.
        needed: whether a folder must be there already.

    Raises:
        UsageError: it is a file, a URL of another kind, or not there.
    """
    found = given if isinstance(given, Remote) else parse(str(given))
    if isinstance(found, Path):
        if found.is_file():
            raise UsageError("This is a file, not a folder.", found, "Give the path of a folder.")
        if needed and not found.exists():
            raise UsageError(
                "There is no such folder.", found, "Check the path, and that its disk is mounted."
            )
    return found


def local(given: str | Path) -> Path:
    """A folder of this machine that is there, to be read only.

    Raises:
        UsageError: it is a file, on an object store, or not there.
    """
    found = place(given)
    if isinstance(found, Remote):
        raise UsageError("This needs a folder of this machine.", str(found), "Copy it to a folder first.")
    return found


def folder(given: str | Path) -> Path:
    """The folder of a dataset on this machine.

    Raises:
        UsageError: it is a file, on an object store, not there, or its path is not UTF-8.
    """
    found = local(given)
    require_utf8(found)
    return found


def new(given: str | Path) -> Path:
    """A file or folder of this machine that will be written.

    Raises:
        UsageError: its path is not UTF-8.
    """
    found = Path(given)
    require_utf8(found)
    return found
