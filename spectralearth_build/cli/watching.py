"""The command `status`, which says how far a build is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from spectralearth_build.cli.options import Begun


def status(
    dataset: Begun,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of lines.")] = False,
    timeline: Annotated[
        Path | None,
        typer.Option(help="Also draw when each worker had which task (PNG or SVG).", dir_okay=False),
    ] = None,
) -> None:
    """Say how far a build is, how fast, what failed, and when it will be done.

    Reads only files of the dataset: the plan, the commit records and the log of the latest run, in work/logs. So it
    works from any machine that sees the folder, while a build runs, and after it ended or died. It changes nothing.

    Example: [bold]spectralearth-build status dataset/ --timeline run.png[/bold]

    Next: if the run has died or was stopped, run its command again; it continues where it left off.
    """
    from spectralearth_build.files import require_writable
    from spectralearth_build.progress import say
    from spectralearth_build.runlog.status import document, status_of, told

    if timeline is not None:
        require_writable(timeline)
    found = status_of(dataset)
    for line in [json.dumps(document(found), indent=1)] if as_json else told(found):
        say(line)
    if timeline is not None:
        from spectralearth_build.report.timeline import draw_timeline

        draw_timeline(found, timeline)
        if not as_json:
            say(f"timeline: {timeline}")
