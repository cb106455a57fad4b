"""Commands for a finished dataset: `verify`, `repair` and `report`."""

from __future__ import annotations

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
    from spectralearth_build.api.checking import verify_dataset

    return code_of_damages(verify_dataset(dataset, archive, settings.load()))


def repair(
    dataset: Begun,
    settings: Settings,
    archive: Annotated[
        Path, typer.Option(help="Archive that the dataset was built from.", exists=True, file_okay=False)
    ],
) -> int:
    """Recreate damaged files, and only those. Exits with 1 if something cannot be repaired.

    Finds damage as [bold]verify[/bold] does. A file that was cut, planned or computed again replaces the damaged one
    only if it is identical, bit for bit, to the published one. Damage that remains is listed with the reason.

    Example: [bold]spectralearth-build repair dataset/ --archive enmap/[/bold]

    Next: nothing to do; repair has verified the dataset.
    """
    from spectralearth_build.api.checking import repair_dataset

    return code_of_damages(repair_dataset(dataset, archive, settings.load()))


def report(dataset: BegunPlace, settings: Settings) -> None:
    """Write report.html, one page that works offline: maps, depths, dates, sample patches and what was left out.

    Example: [bold]spectralearth-build report dataset/[/bold]

    Next: open dataset/report.html in a browser.
    """
    from spectralearth_build.api.checking import write_report

    write_report(dataset, settings.load())
