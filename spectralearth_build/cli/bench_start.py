"""The command `bench start`, which measures what a user waits for before anything happens."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def start(
    tiles: Annotated[int, typer.Option(min=1, help="Number of synthetic footprints to plan.")] = 60,
    rounds: Annotated[int, typer.Option(min=1, help="Number of runs of each case; the fastest counts.")] = 3,
    out: Annotated[Path, typer.Option(help="Folder for the table (Parquet).", file_okay=False)] = Path(
        "bench-results"
    ),
) -> None:
    """Measure the time of imports, of the refusal of a typo and of the first plan on a new machine, in new processes.

    The first plan compiles its loops into an empty folder. The second plan uses this compiled code.

    Example: [bold]spectralearth-build bench start[/bold]

    Next: [bold]warm-up[/bold], which compiles in advance; docs/benchmarks.md shows typical results.
    """
    from spectralearth_build.bench.show import save, table
    from spectralearth_build.bench.starting import measure
    from spectralearth_build.files import require_writable
    from spectralearth_build.progress import say

    require_writable(out)
    found = measure(tiles, rounds)
    say(table("start", list(found.columns), found.itertuples(index=False)))
    say(f"bench: wrote {save(found, out / 'bench-start.parquet')}")
