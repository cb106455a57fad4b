"""The application: the commands, in the order in which a new user meets them, and the top-level --help."""

from __future__ import annotations

from typing import Annotated

import typer

from spectralearth_build.cli import (
    bench,
    building,
    checking,
    downstream,
    evaluating,
    export,
    labelling,
    pretraining,
    settings,
    splitting,
    synthetic,
    tuples,
    unlocking,
    warming,
    watching,
)
from spectralearth_build.cli.codes import MEANING
from spectralearth_build.cli.options import renamed, verb
from spectralearth_build.shipped import FOLDER
from spectralearth_build.version import __version__

EPILOG = (
    "Exit codes: "
    + "; ".join(f"{code} {meaning}" for code, meaning in MEANING.items())
    + f". Files that are named here, such as docs/ and workflows/, are in {FOLDER}."
)

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"spectralearth-build {__version__}")
        raise typer.Exit


@app.callback()
def describe(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Build multi-temporal hyperspectral pretraining datasets from EnMAP L2A archives.

    Start with [bold]demo[/bold], which makes a small archive and builds a dataset from it. With an archive of your own,
    [bold]build ARCHIVE DATASET[/bold] is all you need. If a command was stopped, run it again: it continues where it
    left off.
    """


BATCH = (
    building.build,
    building.scan,
    building.plan,
    building.cut,
    checking.verify,
    checking.repair,
    labelling.pair,
    export.export,
    pretraining.pretrain,
    pretraining.embed,
)
"""Commands that run long in batch jobs, whose logs should have times."""

for panel, functions in {
    "First steps": (synthetic.demo, synthetic.synthesize, synthetic.land_cover),
    "Build": (building.build, watching.status, building.scan, building.plan, building.cut),
    "Use": (
        checking.verify,
        checking.repair,
        checking.report,
        tuples.tuples,
        splitting.split,
        labelling.pair,
        export.export,
        unlocking.unlock,
    ),
    "Train": (
        pretraining.pretrain,
        pretraining.pretrain_template,
        pretraining.embed,
        pretraining.import_encoder,
        pretraining.export_encoder,
        evaluating.evaluate,
        downstream.downstream,
    ),
    "More": (warming.warm_up,),
}.items():
    for function in functions:
        speaks = function in (tuples.tuples, pretraining.pretrain_template, watching.status)
        app.command(rich_help_panel=panel, epilog=EPILOG)(verb(function, speaks, function in BATCH))
app.command("benchmark", hidden=True)(verb(renamed(downstream.downstream, "benchmark")))  # until 0.3
app.add_typer(settings.app, name="config", rich_help_panel="More")
app.add_typer(bench.app, name="bench", rich_help_panel="More")
