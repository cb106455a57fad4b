"""What all public functions share: how they read their arguments and report errors."""

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

    Signals stop it at a safe point. A system error, such as a full disk, becomes a `BuildError` that says what to do.
    Unexpected errors are raised unchanged.
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
    """Refuse a call that a worker process makes because it imports the user's script when it starts.

    Raises:
        UsageError: A worker is importing the script.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise UsageError(
            "Each worker process imports the script, so it calls this function again.",
            remedy="Put the code of the script under `if __name__ == '__main__':`.",
        )


def config_of(config: Config | Settings | str | Path | None) -> Config:
    """Return the settings of a build, in whatever form they are given.

    Args:
        config: a `Config`, settings by name, the path of a TOML file, or None for the defaults.

    Raises:
        ConfigError: A key is unknown or a value is invalid. The message names each, and what is allowed.
    """
    from spectralearth_build.config import Config, load

    if isinstance(config, Config):
        return config
    if config is None or isinstance(config, Mapping):
        return load(None, config)
    return load(Path(config))


def load_config(path: str | Path | None = None, overrides: Settings | None = None) -> Config:
    """Read the settings of a build from a TOML file, apply overrides, and check the result.

    Args:
        path: TOML file, as printed by ``spectralearth-build config template``; None: the defaults.
        overrides: settings by dotted key, which override those of the file.

    Raises:
        ConfigError: A key is unknown or a value is invalid. The message names each, and what is allowed.

    Examples:
        ```python
        config = load_config("build.toml", {"run.workers": 4})
        build_dataset("enmap", "dataset", config)
        ```
    """
    from spectralearth_build.config import load

    return load(None if path is None else Path(path), overrides or {})


def place(given: str | Path | Remote, needed: bool = True) -> Path | Remote:
    """Return the location of an archive or a dataset: a folder, or a prefix on an object store.

    Args:
        given: path or URL.
        needed: whether a folder must exist.

    Raises:
        UsageError: It is a file, an unsupported URL, or a folder that must exist but does not.
    """
    found = given if isinstance(given, Remote) else parse(str(given))
    if isinstance(found, Path):
        if found.is_file():
            raise UsageError("This is a file, not a folder.", found, "Give the path of a folder.")
        if needed and not found.exists():
            raise UsageError(
                "There is no such folder.", found, "Check the path, and whether its disk is mounted."
            )
    return found


def local(given: str | Path) -> Path:
    """Return an existing local folder, which will only be read.

    Raises:
        UsageError: It is a file, is on an object store, or does not exist.
    """
    found = place(given)
    if isinstance(found, Remote):
        raise UsageError("This needs a folder of this machine.", str(found), "Copy it to a folder first.")
    return found


def folder(given: str | Path) -> Path:
    """Return the existing local folder of a dataset.

    Raises:
        UsageError: It is a file, is on an object store, does not exist, or its path is not valid UTF-8.
    """
    found = local(given)
    require_utf8(found)
    return found


def new(given: str | Path) -> Path:
    """Return a local file or folder that will be written.

    Raises:
        UsageError: Its path is not valid UTF-8.
    """
    found = Path(given)
    require_utf8(found)
    return found
