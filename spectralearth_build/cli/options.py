"""Options that verbs share, defined once and added to each verb that asks for `Settings`."""

from __future__ import annotations

import functools
import inspect
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
from spectralearth_build.progress import set_quiet
from spectralearth_build.signals import stop_on_signals
from spectralearth_build.storage.url import Remote, parse
from spectralearth_build.streams import require_told
from spectralearth_build.texts import as_text

if TYPE_CHECKING:
    from spectralearth_build.config import Config

PANEL = "Options of every verb"
_MARKUP = re.compile(r"(\[/?bold\])")


def renamed(function: Callable[..., Any], before: str) -> Callable[..., Any]:
    """A verb under the name that it had before; it says what it is called now, and runs."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        print(f"`{before}` is now called `{function.__name__}`.", file=sys.stderr)
        return function(*args, **kwargs)

    return run


def place(text: str) -> Path | Remote:
    """What an argument names: a local folder, or a place on an object store.

    Raises:
        BadParameter: it is a file, or no URL of ours, which is then not repeated.
    """
    try:
        found = parse(str(text))
    except UsageError as error:
        raise typer.BadParameter(str(error)) from None
    if isinstance(found, Path) and found.is_file():
        raise typer.BadParameter(f"Directory '{found}' is a file.")
    return found


def existing_place(text: str) -> Path | Remote:
    """The same, of something that must be there; of object stores this shows later."""
    found = place(text)
    if isinstance(found, Path) and not found.exists():
        raise typer.BadParameter(f"Directory '{found}' does not exist.")
    return found


Archive = Annotated[
    Path, typer.Argument(metavar="ARCHIVE", help="Folder of EnMAP products.", exists=True, file_okay=False)
]
Dataset = Annotated[
    Path, typer.Argument(metavar="DATASET", help="Folder of the dataset, made if need be.", file_okay=False)
]
Begun = Annotated[
    Path, typer.Argument(metavar="DATASET", help="Folder of the dataset.", exists=True, file_okay=False)
]
ArchivePlace = Annotated[
    Any,
    typer.Argument(
        metavar="ARCHIVE",
        help="Folder of EnMAP products, or s3://, gs://, az:// with bucket and prefix.",
        parser=existing_place,
    ),
]
DatasetPlace = Annotated[
    Any,
    typer.Argument(
        metavar="DATASET",
        help="Folder of the dataset, made if need be, or s3://, gs://, az:// with bucket and prefix.",
        parser=place,
    ),
]
BegunPlace = Annotated[
    Any,
    typer.Argument(
        metavar="DATASET",
        help="Folder of the dataset, or s3://, gs://, az:// with bucket and prefix.",
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
        help="Exit with 0, not 4, if products were quarantined. Short for --set run.accept_quarantined=1.",
    ),
]
Manifest = Annotated[
    str, typer.Option(help="CSV list of tiles: take exactly these. Short for --set scan.manifest=FILE.")
]


@dataclass(frozen=True)
class Settings:
    """What the shared options say."""

    file: Path | None
    """--config."""
    overrides: dict[str, Any]
    """--set and its short forms, by dotted key."""

    def load(self, **more: object) -> Config:
        """The configuration, with further short forms (``scan_manifest`` is scan.manifest) where given.

        Raises:
            ConfigError: something in it is wrong.
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
            "--set", metavar="SECTION.KEY=VALUE", help="Override one setting.", rich_help_panel=PANEL
        ),
    ] = None,
    scheduler: Annotated[
        str, typer.Option(help="Address of a Dask scheduler, or 'inline'.", rich_help_panel=PANEL)
    ] = "",
    workers: Annotated[
        int | None, typer.Option(help="Local worker processes; one per core.", rich_help_panel=PANEL)
    ] = None,
    performance_report: Annotated[
        str, typer.Option(help="Save Dask's performance report here (HTML).", rich_help_panel=PANEL)
    ] = "",
) -> Settings:
    """Read the shared options; this signature is what `verb` adds to that of each verb."""
    overrides: dict[str, Any] = {}
    for text in setting or []:
        key, equals, value = text.partition("=")
        if not equals:
            raise typer.BadParameter(f"'{text}' is not section.key=value", param_hint="--set")
        overrides[key.strip()] = value.strip()
    short = {"scheduler": scheduler, "workers": workers, "performance_report": performance_report}
    given = {f"run.{name}": value for name, value in short.items() if value not in (None, "")}
    return Settings(config, overrides | given)


def output_of(
    quiet: Annotated[bool, typer.Option("--quiet", help="Print errors only.", rich_help_panel=PANEL)] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where an error arose.", rich_help_panel=PANEL)
    ] = False,
) -> bool:
    """Read the options on output; returns whether to show tracebacks."""
    set_quiet(quiet)
    return debug


def verb(function: Callable[..., int | None], speaks: bool = False) -> Callable[..., None]:
    """Make a function a verb of the command line.

    A parameter annotated with `Settings` is replaced by the options of `settings_of`. What the function returns is
    the exit code; a `BuildError` becomes one message and its code; signals stop the verb at a safe point.

    Args:
        function: what the verb does.
        speaks: what it prints is its result, so it fails where that cannot be written.
    """
    own, hints = inspect.signature(function), get_type_hints(function, include_extras=True)
    taken = next((name for name, hint in hints.items() if hint is Settings), None)
    shared = {} if taken is None else _parameters(settings_of)
    output = _parameters(output_of)
    kept = [p.replace(annotation=hints[p.name]) for p in own.parameters.values() if p.name != taken]

    @functools.wraps(function)
    def command(**values: Any) -> None:  # noqa: ANN401
        debug = output_of(**{name: values.pop(name) for name in output})
        given = {name: values.pop(name) for name in shared}
        if taken is not None:
            values[taken] = settings_of(**given)
        with stop_on_signals():
            raise typer.Exit(_run(function, values, debug, speaks))

    parameters = [*kept, *shared.values(), *output.values()]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__doc__ = _paragraphs(function.__doc__ or "")
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def _paragraphs(text: str) -> str:
    """A docstring for the help: paragraphs unwrapped, as the terminal wraps them; of brackets only [bold] is markup."""
    unwrapped = "\n\n".join(" ".join(part.split()) for part in inspect.cleandoc(text).split("\n\n"))
    return "".join(part if _MARKUP.fullmatch(part) else escape(part) for part in _MARKUP.split(unwrapped))


def _parameters(function: Callable[..., object]) -> dict[str, inspect.Parameter]:
    hints = get_type_hints(function, include_extras=True)
    found = inspect.signature(function).parameters.values()
    return {p.name: p.replace(annotation=hints[p.name], kind=p.KEYWORD_ONLY) for p in found}


def _run(function: Callable[..., int | None], values: dict[str, Any], debug: bool, speaks: bool) -> int:
    """Call a verb; the exit code."""
    try:
        for name, value in values.items():
            for path in value if isinstance(value, list | tuple) else [value]:
                if (
                    isinstance(path, Path) and name != "archive"
                ):  # an archive is only read, by bytes if need be
                    require_utf8(path)
        code = function(**values) or 0
        if speaks:
            require_told()
        return code
    except Exception as error:
        if debug:
            traceback.print_exc()
        print(f"Error: {as_text(message_of(error))}", file=sys.stderr)
        return code_of(error)
