"""Verbs that measure: `bench plan`, `bench optimum`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spectralearth_build.cli.options import verb

if TYPE_CHECKING:
    from collections.abc import Iterable

app = typer.Typer(help="Measure on this machine.", no_args_is_help=True, rich_markup_mode="rich")


def plan(
    tiles: Annotated[int, typer.Option(min=1, help="Tiles of the synthetic archive.")] = 11_636,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same archive and sample.")] = 0,
    sample: Annotated[
        int,
        typer.Option(min=0, help="Components for Algorithm 1, which is slow; small and deep ones alike."),
    ] = 60,
    limit: Annotated[float, typer.Option(min=1, help="Seconds that Algorithm 1 has for a component.")] = 120,
    scale: Annotated[
        bool,
        typer.Option("--scale", help="Instead: time and memory of the plan stage by size of the archive."),
    ] = False,
    sizes: Annotated[str, typer.Option(help="With --scale: numbers of tiles.")] = "1000,11636,100000",
    masks: Annotated[
        int,
        typer.Option(min=0, help="Instead: the validity step on so many tiles with full-resolution masks."),
    ] = 0,
    out: Annotated[
        Path, typer.Option(help="Folder for the tables (Parquet) and the picture.", file_okay=False)
    ] = Path("bench-results"),
) -> None:
    """Compare placement strategies on the same synthetic archive, in one process.

    Fixed lattice, greedy by depth, SpectralEarth's Algorithm 1 (20 and 100 tuples kept, on a sample of components) and
    this package's with each of its presets: patches, locations with several dates, pairs, share of the valid area and
    of an upper bound, seconds, peak memory.

    Example: [bold]spectralearth-build bench plan --tiles 1000 --sample 20[/bold]

    Next: [bold]bench plan --scale[/bold] and [bold]bench plan --masks 300[/bold]; docs/benchmarks.md says what to
    expect.
    """
    from spectralearth_build.errors import UsageError

    if scale and masks:
        raise UsageError("--scale and --masks are different measurements.", None, "Choose one of them.")
    if scale:
        _scale(_numbers(sizes), seed, out)
    elif masks:
        _masks(masks, seed, out)
    else:
        _strategies(tiles, seed, sample, limit, out)


def optimum(
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same planes.")] = 0,
    limit: Annotated[float, typer.Option(min=1, help="Seconds that the solver has for a plane.")] = 60,
) -> None:
    """Compare placement strategies with the optimum, on planes so small that it can be computed.

    Example: [bold]spectralearth-build bench optimum[/bold]

    Next: [bold]bench plan[/bold], which bounds the optimum where it cannot be computed.
    """
    from spectralearth_build.bench import optimum as planes
    from spectralearth_build.progress import say

    for gap in planes.gaps(planes.STRATEGIES, seed, limit):
        say(planes.line(gap))


def _strategies(tiles: int, seed: int, sample: int, limit: float, out: Path) -> None:
    from spectralearth_build.bench import report
    from spectralearth_build.bench.contest import contest
    from spectralearth_build.bench.measure import cores, peak_mb
    from spectralearth_build.synthetic.footprints import footprints

    result = contest(footprints(tiles, seed), sample, limit, seed)
    machine = {"cores": cores(), "seed": seed, "peak_mb": peak_mb()}
    _say(report.lines(result, machine), report.write(result, out, machine))


def _scale(sizes: list[int], seed: int, out: Path) -> None:
    from spectralearth_build.bench import scale
    from spectralearth_build.bench.measure import cores
    from spectralearth_build.bench.report import save

    runs = scale.scale(sizes, seed)
    table = save(runs.assign(cores=cores(), seed=seed), out / "bench-scale.parquet")
    _say(scale.lines(runs, cores(), seed), [table, scale.draw(runs, out / "bench-scale.png")])


def _masks(tiles: int, seed: int, out: Path) -> None:
    from spectralearth_build.bench import clouds
    from spectralearth_build.bench.measure import cores, peak_mb
    from spectralearth_build.bench.report import save
    from spectralearth_build.synthetic.footprints import footprints

    measured = clouds.validity(footprints(tiles, seed), seed)
    table = save(measured.assign(cores=cores(), seed=seed), out / "bench-masks.parquet")
    _say(clouds.lines(measured, cores(), seed, peak_mb()), [table])


def _say(lines: Iterable[str], written: list[Path]) -> None:
    from spectralearth_build.progress import say

    for line in lines:
        say(line)
    say(f"bench: written {', '.join(map(str, written))}")


def _numbers(text: str) -> list[int]:
    from spectralearth_build.errors import UsageError

    try:
        numbers = sorted({int(part) for part in text.split(",")})
    except ValueError:
        numbers = []
    if not numbers or numbers[0] < 1:
        raise UsageError(f"--sizes are numbers of tiles, such as 1000,11636, got '{text}'.")
    return numbers


@app.callback()
def describe() -> None:
    """Measure on this machine."""


app.command()(verb(plan))
app.command()(verb(optimum))
