"""The commands `bench query` and `bench objects`, which measure access to large datasets and to object stores."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[Path, typer.Option(help="Folder for the table (Parquet).", file_okay=False)]
Work = Annotated[
    Path, typer.Option(help="Folder for the input data. Existing data are reused.", file_okay=False)
]


def query(
    locations: Annotated[int, typer.Option(min=1, help="Number of locations.")] = 428_000,
    patches: Annotated[
        int, typer.Option(min=1, help="Number of patches, at least one per location.")
    ] = 642_000,
    dataset: Annotated[
        Path | None,
        typer.Option(
            help="Finished dataset whose pixels the tables refer to. Default: no pixels.", file_okay=False
        ),
    ] = None,
    work: Work = Path("bench-data"),
    out: Out = Path("bench-results"),
) -> None:
    """Measure time and memory of opening, querying and loading a dataset with tables of a given size.

    The tables are synthetic: windows in all UTM zones, and patches at random dates. With --dataset, single patches and
    the start of a loader are measured too, and reading a patch is compared with the reader alone.

    Example: [bold]spectralearth-build bench query --locations 10000000 --patches 15000000[/bold]

    Next: docs/benchmarks.md shows typical results.
    """
    from spectralearth_build.bench.feeding import large_tables, querying
    from spectralearth_build.bench.show import save
    from spectralearth_build.errors import UsageError
    from spectralearth_build.files import require_writable
    from spectralearth_build.progress import say
    from spectralearth_build.threads import cores

    if not locations <= min(patches, large_tables.MOST):
        most = f"{large_tables.MOST:,}, and at most as many as patches"
        raise UsageError(f"--locations must be at most {most}; got {locations:,}.")
    for folder in (work, out):
        require_writable(folder)
    folder = querying.prepare(work.resolve(), dataset, locations, patches)
    measured = querying.measure(folder, dataset is not None)
    patch = {} if dataset is None else querying.patch_cost(folder)
    table = save(
        measured.assign(locations=locations, patches=patches), out / f"bench-query-{patches}.parquet"
    )
    for line in querying.lines(
        measured, patch, f"{locations:,} locations, {patches:,} patches, {cores()} cores"
    ):
        say(line)
    say(f"bench: wrote {table}")


def objects(
    dataset: Annotated[Path, typer.Option(help="Finished dataset to read.", file_okay=False, exists=True)],
    delays: Annotated[
        str, typer.Option(help="Delays of the answers in milliseconds, separated by commas.")
    ] = "0,20,50,300",
    batches: Annotated[int, typer.Option(min=1, help="Number of batches of 32 patches to time.")] = 12,
    rounds: Annotated[int, typer.Option(min=1, help="Number of runs of each delay; the fastest counts.")] = 3,
    work: Work = Path("bench-data"),
    out: Out = Path("bench-results"),
) -> None:
    """Measure the speed of the loader from an object store that answers after a delay, simulated on this machine.

    A small dataset is enough: synthetic tables name each of its patches many times.

    Example: [bold]spectralearth-build bench objects --dataset my-dataset[/bold]

    Next: docs/benchmarks.md shows typical results.
    """
    from spectralearth_build.bench.feeding import objects as bench
    from spectralearth_build.bench.feeding.querying import prepare
    from spectralearth_build.bench.show import save
    from spectralearth_build.errors import UsageError
    from spectralearth_build.files import require_writable
    from spectralearth_build.progress import say
    from spectralearth_build.threads import cores

    told = [delay.strip() for delay in delays.split(",")]
    if not all(delay.isdecimal() for delay in told):
        raise UsageError(
            f"--delays must be whole milliseconds, separated by commas, such as 0,20,50; got '{delays}'."
        )
    numbers = sorted({int(delay) for delay in told})
    for folder in (work, out):
        require_writable(folder)
    folder = prepare(work.resolve(), dataset.resolve(), 20_000, 40_000)
    measured = bench.measure(folder, numbers, batches, rounds)
    table = save(measured.assign(cores=cores()), out / "bench-objects.parquet")
    for line in bench.lines(measured, f"batches of {bench.BATCH}, {cores()} cores"):
        say(line)
    say(f"bench: wrote {table}")
