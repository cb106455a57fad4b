"""Commands for a finished dataset: `verify`, `repair` and `report`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from spectralearth_build.cli.codes import code_of_damages
from spectralearth_build.cli.options import Against, Begun, BegunPlace, Settings


def verify(
    dataset: BegunPlace,
    settings: Settings,
    archive: Against = None,
) -> int:
    """Read the whole dataset and list all damage. Exits with 1 if there is any.

    Checks the hash of every file, the checksum of every patch, the index, and whether tables and store agree.

    Example: [bold]spectralearth-build verify dataset/ --archive enmap/[/bold]

    Next: [bold]repair DATASET --archive ARCHIVE[/bold], if there is damage.
    """
    from spectralearth_build import pipeline
    from spectralearth_build.cluster import connect
    from spectralearth_build.places import at_hand, at_work

    config = settings.load()
    staging = config.run.staging
    with ExitStack() as stack:
        folder = stack.enter_context(at_work(dataset, staging, write=False))
        products = stack.enter_context(at_hand(archive, folder, staging)) if archive else None
        needed = pipeline.planned_memory(folder) if archive else 0
        executor = stack.enter_context(connect(config.run, needed))
        found = pipeline.Run(folder, config, executor).verify(products)
    return code_of_damages(found)


def repair(
    dataset: Begun,
    settings: Settings,
    archive: Annotated[
        Path, typer.Option(help="Archive that the dataset was built from.", exists=True, file_okay=False)
    ],
) -> int:
    """Make damaged files again, and only those. Exits with 1 if something cannot be repaired.

    Finds damage as [bold]verify[/bold] does. A file that was cut, planned or computed again replaces the damaged one
    only if it is identical, bit for bit, to the published one. Everything else is listed with the reason.

    Example: [bold]spectralearth-build repair dataset/ --archive enmap/[/bold]

    Next: nothing to do; repair has verified the dataset.
    """
    from spectralearth_build import pipeline
    from spectralearth_build.cluster import connect
    from spectralearth_build.lock import alone

    config, dataset = settings.load(), dataset.resolve()
    with alone(dataset), connect(config.run, pipeline.planned_memory(dataset)) as executor:
        left = pipeline.Run(dataset, config, executor).repair(archive.resolve())
    return code_of_damages(left)


def report(dataset: BegunPlace, settings: Settings) -> None:
    """Write report.html, one page that works offline: maps, depths, dates, sample patches and what was left out.

    Example: [bold]spectralearth-build report dataset/[/bold]

    Next: open dataset/report.html in a browser.
    """
    from spectralearth_build import pipeline
    from spectralearth_build.places import at_work

    with at_work(dataset, settings.load().run.staging) as folder:
        pipeline.report(folder)
