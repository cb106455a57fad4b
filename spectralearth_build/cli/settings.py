"""Commands on settings: `config template` and `config show`."""

from __future__ import annotations

import typer

from spectralearth_build.cli.options import Settings, verb

app = typer.Typer(help="Print settings.", no_args_is_help=True, rich_markup_mode="rich")


def template() -> None:
    """Print all settings with defaults and descriptions, as a TOML file to start from.

    Example: [bold]spectralearth-build config template > mine.toml[/bold]

    Next: delete the settings that you do not change, then [bold]build ARCHIVE DATASET --config mine.toml[/bold].
    """
    from spectralearth_build.config import Config
    from spectralearth_build.settings import template

    print(template(Config(), "build"), end="")


def show(settings: Settings) -> None:
    """Print the settings that a command with these options would use, as TOML.

    Example: [bold]spectralearth-build config show --config mine.toml --set plan.value=pairs[/bold]
    """
    from spectralearth_build.settings import to_toml

    print(to_toml(settings.load()), end="")


for function in (template, show):
    app.command()(verb(function, speaks=True))
