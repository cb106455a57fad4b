"""Options that commands share, defined once and added to each command that takes `Settings`."""

from __future__ import annotations

import functools
import inspect
import math
import re
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer
from rich.markup import escape

from spectralearth_build.cli.codes import code_of, message_of
from spectralearth_build.errors import UsageError, require_utf8
from spectralearth_build.files import require_writable
from spectralearth_build.progress import complain, set_quiet, telling
from spectralearth_build.signals import stop_on_signals
from spectralearth_build.storage.url import Remote, parse
from spectralearth_build.streams import require_told

if TYPE_CHECKING:
    from spectralearth_build.config import Config

PANEL = "Common options"
_MARKUP = re.compile(r"(\[/?bold\])")


def renamed(function: Callable[..., Any], before: str) -> Callable[..., Any]:
    """Return a command under its former name, which prints the new name and then runs."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        print(f"`{before}` is now called `{function.__name__}`.", file=sys.stderr)
        return function(*args, **kwargs)

    return run


def place(text: str) -> Path | Remote:
    """Parse an argument that names a local folder or a location on an object store.

    Raises:
        BadParameter: It is a file, or an unsupported URL. The message does not repeat the URL, which may hold
            credentials.
    """
    try:
        found = parse(str(text))
    except UsageError as error:
        raise typer.BadParameter(str(error)) from None
    if isinstance(found, Path) and found.is_file():
        raise typer.BadParameter(f"Directory '{found}' is a file.")
    return found


def existing_place(text: str) -> Path | Remote:
    """Parse as `place`, and require that a local folder exists. Object stores are only checked when used."""
    found = place(text)
    if isinstance(found, Path) and not found.exists():
        raise typer.BadParameter(f"Directory '{found}' does not exist.")
    return found


Archive = Annotated[
    Path, typer.Argument(metavar="ARCHIVE", help="Folder of EnMAP products.", exists=True, file_okay=False)
]
Dataset = Annotated[
    Path,
    typer.Argument(metavar="DATASET", help="Folder of the dataset, created if missing.", file_okay=False),
]
Begun = Annotated[
    Path, typer.Argument(metavar="DATASET", help="Folder of the dataset.", exists=True, file_okay=False)
]
ArchivePlace = Annotated[
    Any,
    typer.Argument(
        metavar="ARCHIVE",
        help="Folder of EnMAP products, or a URL such as s3://bucket/prefix (also gs://, az://).",
        parser=existing_place,
    ),
]
DatasetPlace = Annotated[
    Any,
    typer.Argument(
        metavar="DATASET",
        help="Folder of the dataset, created if missing, or a URL such as s3://bucket/prefix (also gs://, "
        "az://).",
        parser=place,
    ),
]
BegunPlace = Annotated[
    Any,
    typer.Argument(
        metavar="DATASET",
        help="Folder of the dataset, or a URL such as s3://bucket/prefix (also gs://, az://).",
        parser=existing_place,
    ),
]
Against = Annotated[
    Any,
    typer.Option(
        metavar="ARCHIVE",
        help="Also compare every patch with its source pixels in this archive.",
        parser=existing_place,
    ),
]
Accept = Annotated[
    bool,
    typer.Option(
        "--accept-quarantined",
        help="Exit with 0, not 4, if products were quarantined. Short form of --set "
        "run.accept_quarantined=1.",
    ),
]
Manifest = Annotated[
    str, typer.Option(help="CSV list of tiles to use, and no others. Short form of --set scan.manifest=FILE.")
]


@dataclass(frozen=True)
class Settings:
    """The values of the shared options."""

    file: Path | None
    """The file given as --config."""
    overrides: dict[str, Any]
    """The values of --set and of its short forms, by dotted key."""

    def load(self, **more: object) -> Config:
        """Load the configuration, with further overrides: keyword ``scan_manifest`` sets scan.manifest.

        Raises:
            ConfigError: A setting is unknown or invalid.
        """
        from spectralearth_build.config import load

        given = {name.replace("_", ".", 1): value for name, value in more.items() if value not in (None, "")}
        return load(self.file, self.overrides | given)


def settings_of(
    config: Annotated[
        Path | None, typer.Option(help="TOML file of settings; see `config template`.", rich_help_panel=PANEL)
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="SECTION.KEY=VALUE",
            help="Override one setting, such as plan.value=pairs. Repeatable.",
            rich_help_panel=PANEL,
        ),
    ] = None,
    scheduler: Annotated[
        str,
        typer.Option(
            "--scheduler",
            "--cluster",
            help="Address of a Dask scheduler, such as tcp://host:8786, or its scheduler file (.json); 'slurm': submit "
            "jobs, see run.slurm in the settings; 'inline': run in this process.",
            rich_help_panel=PANEL,
        ),
    ] = "",
    workers: Annotated[
        int | None,
        typer.Option(help="Number of local worker processes. Default: one per core.", rich_help_panel=PANEL),
    ] = None,
    performance_report: Annotated[
        str, typer.Option(help="File for the performance report of Dask (HTML).", rich_help_panel=PANEL)
    ] = "",
) -> Settings:
    """Read the shared options. `verb` adds this signature to that of each command."""
    overrides: dict[str, Any] = {}
    for text in setting or []:
        key, equals, value = text.partition("=")
        if not equals:
            raise typer.BadParameter(f"expected section.key=value, got '{text}'", param_hint="--set")
        overrides[key.strip()] = value.strip()
    short = {"scheduler": scheduler, "workers": workers, "performance_report": performance_report}
    given = {f"run.{name}": value for name, value in short.items() if value not in (None, "")}
    return Settings(config, overrides | given)


@dataclass(frozen=True)
class Output:
    """How a command tells what it does."""

    debug: bool
    """Whether to show tracebacks."""
    log_file: Path | None
    """A file for everything that is printed; None: none."""


def output_of(
    quiet: Annotated[bool, typer.Option("--quiet", help="Print errors only.", rich_help_panel=PANEL)] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error.", rich_help_panel=PANEL)
    ] = False,
    log_file: Annotated[
        Path | None,
        typer.Option(
            help="Append everything that is printed to this file, with the time (UTC).",
            dir_okay=False,
            rich_help_panel=PANEL,
        ),
    ] = None,
) -> Output:
    """Read the output options."""
    set_quiet(quiet)
    return Output(debug, log_file)


def verb(
    function: Callable[..., int | None], speaks: bool = False, stamped: bool = False
) -> Callable[..., None]:
    """Make a function a command of the command line.

    A parameter annotated with `Settings` is replaced by the options of `settings_of`. The return value of the function
    is the exit code. A `BuildError` becomes one message and its exit code. Signals stop the command at a safe point.

    Args:
        function: The implementation of the command.
        speaks: Whether the printed output is the result, so that the command fails if it cannot be written.
        stamped: Whether lines begin with the time when there is no terminal.
    """
    own, hints = inspect.signature(function), get_type_hints(function, include_extras=True)
    taken = next((name for name, hint in hints.items() if hint is Settings), None)
    shared = {} if taken is None else _parameters(settings_of)
    output = _parameters(output_of)
    kept = [p.replace(annotation=hints[p.name]) for p in own.parameters.values() if p.name != taken]

    @functools.wraps(function)
    def command(**values: Any) -> None:  # noqa: ANN401
        how = output_of(**{name: values.pop(name) for name in output})
        given = {name: values.pop(name) for name in shared}
        if taken is not None:
            values[taken] = settings_of(**given)
        with stop_on_signals():
            raise typer.Exit(_run(function, values, how, stamped, speaks))

    parameters = [*kept, *shared.values(), *output.values()]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__doc__ = _paragraphs(function.__doc__ or "")
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def _paragraphs(text: str) -> str:
    """Format a docstring for --help: unwrap its paragraphs, and escape all markup but [bold]."""
    unwrapped = "\n\n".join(" ".join(part.split()) for part in inspect.cleandoc(text).split("\n\n"))
    return "".join(part if _MARKUP.fullmatch(part) else escape(part) for part in _MARKUP.split(unwrapped))


def _parameters(function: Callable[..., object]) -> dict[str, inspect.Parameter]:
    hints = get_type_hints(function, include_extras=True)
    found = inspect.signature(function).parameters.values()
    return {p.name: p.replace(annotation=hints[p.name], kind=p.KEYWORD_ONLY) for p in found}


def _run(
    function: Callable[..., int | None], values: dict[str, Any], how: Output, stamped: bool, speaks: bool
) -> int:
    """Call a command and return the exit code."""
    try:
        if how.log_file:
            require_writable(how.log_file)
        with telling(stamped, how.log_file):
            try:
                return _call(function, values, speaks)
            except Exception as error:
                return _refused(error, how.debug)
    except Exception as error:  # of the log file
        return _refused(error, how.debug)


def _call(function: Callable[..., int | None], values: dict[str, Any], speaks: bool) -> int:
    for name, value in values.items():
        for each in value if isinstance(value, list | tuple) else [value]:
            _require_possible(name, each)
    code = function(**values) or 0
    if speaks:
        require_told()
    return code


def _refused(error: Exception, debug: bool) -> int:
    """Print an error, and return its exit code."""
    if debug:
        traceback.print_exc()
    complain(f"Error: {message_of(error)}")
    return code_of(error)


def _require_possible(name: str, value: object) -> None:
    """Refuse what no command can use.

    Raises:
        UsageError: a path that is not UTF-8, or a number that is not finite.
    """
    if isinstance(value, Path) and name != "archive":  # an archive is only read, whatever its name
        require_utf8(value)
    if isinstance(value, float) and not math.isfinite(value):
        option = f"--{name.replace('_', '-')}"
        raise UsageError(f"{option} must be a finite number; got {value}.", None, "Give a number.")
