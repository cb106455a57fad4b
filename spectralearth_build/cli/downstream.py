"""The command `downstream`, which compares encoders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spectralearth_build.api.torch import need_torch
from spectralearth_build.cli.codes import DONE, QUARANTINED
from spectralearth_build.cli.evaluating import AllowSeen
from spectralearth_build.errors import UsageError
from spectralearth_build.texts import counted

if TYPE_CHECKING:
    from spectralearth_build.downstream.grid_config import GridConfig

ConfigFile = Annotated[
    Path,
    typer.Argument(
        metavar="CONFIG", help="TOML file of the comparison. With --demo, give the folder OUT here."
    ),
]


def downstream(
    first: ConfigFile,
    out: Annotated[
        Path | None,
        typer.Argument(
            metavar="[OUT]", help="Folder for cells, tables, plots and the page.", file_okay=False
        ),
    ] = None,
    demo: Annotated[
        bool,
        typer.Option(
            "--demo", help="Make a small synthetic dataset, labels and encoders, and compare those."
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the cells and whether each is done. Runs nothing.")
    ] = False,
    page: Annotated[
        bool, typer.Option("--page", help="Write tables and the page from the finished cells. Runs nothing.")
    ] = False,
    allow_seen: AllowSeen = False,
    scheduler: Annotated[str, typer.Option(help="Address of a Dask scheduler, or 'inline'.")] = "",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Number of local worker processes. Default: one per core.")
    ] = None,
) -> int:
    """Compare encoders: run all encoders, initialisations, protocols, tasks, label fractions and seeds of a TOML file.

    Each combination, called a cell, is one run of `evaluate`, on workers of this machine or of a Dask scheduler. If the
    command was stopped, run it again: it continues. A cell that fails is reported and does not stop the others.

    Examples: [bold]spectralearth-build downstream workflows/downstream.toml out/[/bold];
    [bold]spectralearth-build downstream --demo out/[/bold]

    Next: open out/downstream.html in a browser; out/tables.md and out/results.parquet hold the numbers.
    """
    need_torch("Evaluation")
    if demo == (out is not None):
        raise UsageError(
            "Give CONFIG and OUT, or --demo and OUT.", remedy="See `downstream --help` for examples."
        )
    if demo and (dry_run or page):
        raise _not_with_demo(first, "--dry-run" if dry_run else "--page")
    from spectralearth_build.api.judging import compared
    from spectralearth_build.downstream.config_file import load
    from spectralearth_build.files import require_writable

    if out is None:
        from spectralearth_build.downstream.demo import prepare

        require_writable(first)
        first, out = prepare(first, scheduler, workers), first
    config = load(first, scheduler=scheduler, workers=workers)
    if allow_seen:
        config = config.changed(evaluate=config.evaluate.changed(allow_seen=True))
    if dry_run:
        return _list(config, out)
    require_writable(out)
    return QUARANTINED if (compared(config, out, page)["status"] == "failed").any() else DONE


def _not_with_demo(out: Path, option: str) -> UsageError:
    later = f"`downstream {out / 'downstream.toml'} {out} {option}`"
    return UsageError(
        f"{option} cannot be combined with --demo, which prepares and runs everything.",
        remedy=f"Run `downstream --demo {out}`; after that, use {later}.",
    )


def _list(config: GridConfig, out: Path) -> int:
    from spectralearth_build.downstream.job import is_done
    from spectralearth_build.downstream.run import CELLS, planned
    from spectralearth_build.progress import say

    cells = planned(config)
    done = [is_done(out / CELLS / job.key) for job in cells]
    for job, there in zip(cells, done, strict=True):
        say(f"{'done' if there else 'to do'}  {job.cell.name}")
    say(f"downstream: {counted(len(cells), 'cell')}, {sum(done)} of them done")
    return DONE
