"""Verbs for a dataset that is finished: `verify` and `report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spectralearth_build.cli.codes import DAMAGED, DONE
from spectralearth_build.cli.options import Begun, Settings


def verify(
    dataset: Begun,
    settings: Settings,
    archive: Annotated[
        Path | None,
        typer.Option(
            help="Also compare every patch with its source pixels in this archive.",
            exists=True,
            file_okay=False,
        ),
    ] = None,
) -> int:
    """Read the whole dataset again and list all damage: exit code 1 if there is any.

    Checks every file's hash, every patch's checksum, the index, and that tables and store say the same.

    Example: [bold]spectralearth-build verify dataset/ --archive enmap/[/bold]

    Next: delete the files that it names and run [bold]build[/bold] again, which writes what is missing.
    """
    from spectralearth_build import pipeline
    from spectralearth_build.cluster import connect
    from spectralearth_build.lock import alone

    config, dataset = settings.load(), dataset.resolve()
    needed = pipeline.planned_memory(dataset) if archive else 0
    with alone(dataset), connect(config.run, needed) as executor:
        found = pipeline.Run(dataset, config, executor).verify(archive.resolve() if archive else None)
    return DAMAGED if found else DONE


def report(dataset: Begun) -> None:
    """Write report.html: maps, depths, dates, samples and what was left out, in one page that needs no network.

    Example: [bold]spectralearth-build report dataset/[/bold]

    Next: open dataset/report.html in a browser.
    """
    from spectralearth_build import pipeline
    from spectralearth_build.lock import alone

    dataset = dataset.resolve()
    with alone(dataset):
        pipeline.report(dataset)
