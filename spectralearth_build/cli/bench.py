"""Benchmark commands: `bench plan`, `bench optimum`, `bench load`, and the commands of the other `bench_` modules."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spectralearth_build.cli.bench_access import objects, query
from spectralearth_build.cli.bench_build import build
from spectralearth_build.cli.bench_cut import cut
from spectralearth_build.cli.bench_learn import learn
from spectralearth_build.cli.bench_pretrain import pretrain
from spectralearth_build.cli.bench_start import start
from spectralearth_build.cli.bench_store import store
from spectralearth_build.cli.options import verb
from spectralearth_build.texts import install

if TYPE_CHECKING:
    from collections.abc import Iterable

app = typer.Typer(help="Measure performance on this machine.", no_args_is_help=True, rich_markup_mode="rich")


def plan(
    tiles: Annotated[int, typer.Option(min=1, help="Number of tiles in the synthetic archive.")] = 11_636,
    seed: Annotated[
        int, typer.Option(min=0, help="Random seed. The same seed gives the same archive and sample.")
    ] = 0,
    sample: Annotated[
        int,
        typer.Option(
            min=0,
            help="Number of components, of all sizes and depths, on which to run Algorithm 1, which is slow.",
        ),
    ] = 60,
    limit: Annotated[
        float, typer.Option(min=1, help="Time limit of Algorithm 1 per component, in seconds.")
    ] = 120,
    scale: Annotated[
        bool,
        typer.Option(
            "--scale", help="Measure time and memory of the plan stage against archive size instead."
        ),
    ] = False,
    sizes: Annotated[
        str, typer.Option(help="Archive sizes for --scale, as numbers of tiles.")
    ] = "1000,11636,100000",
    masks: Annotated[
        int,
        typer.Option(
            min=0,
            help="Measure the validity step on this many tiles with full-resolution masks instead; 0: off.",
        ),
    ] = 0,
    out: Annotated[
        Path, typer.Option(help="Folder for the tables (Parquet) and the plot.", file_okay=False)
    ] = Path("bench-results"),
) -> None:
    """Compare placement strategies on one synthetic archive, in one process.

    The strategies are a fixed lattice, greedy by depth, SpectralEarth's Algorithm 1 (keeping 20 and 100 tuples, on a
    sample of components), and the strategy of this package with each of its presets. For each, the table lists patches,
    locations with several dates, pairs, the share of the valid area and of an upper bound, seconds, and peak memory.

    Example: [bold]spectralearth-build bench plan --tiles 1000 --sample 20[/bold]

    Next: [bold]bench plan --scale[/bold] and [bold]bench plan --masks 300[/bold]; docs/benchmarks.md shows typical
    results.
    """
    from spectralearth_build.errors import UsageError
    from spectralearth_build.files import require_writable

    if scale and masks:
        raise UsageError("--scale and --masks are different measurements.", None, "Give only one of them.")
    require_writable(out)
    if scale:
        from spectralearth_build.cli.bench_numbers import numbers

        _scale(numbers("--sizes", sizes), seed, out)
    elif masks:
        _masks(masks, seed, out)
    else:
        _strategies(tiles, seed, sample, limit, out)


def optimum(
    seed: Annotated[int, typer.Option(min=0, help="Random seed. The same seed gives the same planes.")] = 0,
    limit: Annotated[float, typer.Option(min=1, help="Time limit of the solver per plane, in seconds.")] = 60,
) -> None:
    """Compare placement strategies with the optimum, on planes small enough to compute it.

    Example: [bold]spectralearth-build bench optimum[/bold]

    Next: [bold]bench plan[/bold], which bounds the optimum where it cannot be computed.
    """
    from spectralearth_build.bench.planning import optimum as planes
    from spectralearth_build.progress import say

    for gap in planes.gaps(planes.STRATEGIES, seed, limit):
        say(planes.line(gap))


Dataset = Annotated[
    Path | None,
    typer.Option(help="Finished dataset to read. Default: build one from synthetic tiles.", file_okay=False),
]


def load(
    dataset: Dataset = None,
    tiles: Annotated[int, typer.Option(min=1, help="Number of full-size synthetic tiles.")] = 4,
    seed: Annotated[
        int, typer.Option(min=0, help="Random seed. The same seed gives the same tiles and orders.")
    ] = 0,
    rounds: Annotated[
        int, typer.Option(min=1, help="Number of warm runs of each loader; the fastest counts.")
    ] = 5,
    rows: Annotated[
        int, typer.Option(min=1, help="Number of patches in the simulated tables that time the first batch.")
    ] = 1_000_000,
    batches: Annotated[
        int, typer.Option(min=10, help="Number of one-patch batches over which memory is measured.")
    ] = 10_000,
    work: Annotated[
        Path,
        typer.Option(help="Folder for the input data. Existing data are reused.", file_okay=False),
    ] = Path("bench-data"),
    out: Annotated[
        Path, typer.Option(help="Folder for the table (Parquet) and the plot.", file_okay=False)
    ] = Path("bench-results"),
) -> None:
    """Compare ways to feed patches to a training loop, with each other and with the limits of the machine.

    Measures the reader and loader of this package, zarr-python, torch's DataLoader with one GeoTIFF per patch, and, if
    installed, tensorstore, WebDataset and LitData. Copying memory and decoding alone show the limits. Warm runs (files
    in the page cache) and cold runs are reported separately. Also reports where the time of a read goes, the time to
    the first batch of a large dataset, and memory over many batches.

    Example: [bold]spectralearth-build bench load[/bold]

    Next: docs/loading.md.
    """
    from importlib.util import find_spec

    from spectralearth_build.errors import UsageError

    if find_spec("torch") is None:
        raise UsageError("`bench load` needs torch.", None, install("train,bench"))
    from spectralearth_build.bench.feeding import loading, loading_data, loading_report
    from spectralearth_build.bench.show import save
    from spectralearth_build.files import require_writable
    from spectralearth_build.threads import cores

    for folder in (work, out):
        require_writable(folder)
    formats = loading_data.prepare(work.resolve(), dataset, tiles, seed)
    grown = loading.memory(formats, batches, cores())
    first = loading.first_batch(formats, rows, work.resolve() / f"simulated-{rows}", cores())
    measured = loading.contest(formats, cores(), rounds, seed)
    about = loading.about(formats, cores())
    table = save(loading_report.rates(measured).assign(cores=cores(), seed=seed), out / "bench-load.parquet")
    ratios = save(loading_report.ratios(measured), out / "bench-load-ratios.parquet")
    picture = loading_report.draw(measured, out / "bench-load.png", about)
    lines = loading_report.lines(measured, loading.parts(formats, seed), first, grown, about)
    _say(lines, [table, ratios, picture])


def _strategies(tiles: int, seed: int, sample: int, limit: float, out: Path) -> None:
    from spectralearth_build.bench.measure import peak_mb
    from spectralearth_build.bench.planning import report
    from spectralearth_build.bench.planning.contest import contest
    from spectralearth_build.synthetic.footprints import footprints
    from spectralearth_build.threads import cores

    result = contest(footprints(tiles, seed), sample, limit, seed)
    machine = {"cores": cores(), "seed": seed, "peak_mb": peak_mb()}
    _say(report.lines(result, machine), report.write(result, out, machine))


def _scale(sizes: list[int], seed: int, out: Path) -> None:
    from spectralearth_build.bench.planning import scale
    from spectralearth_build.bench.show import save
    from spectralearth_build.threads import cores

    runs = scale.scale(sizes, seed)
    table = save(runs.assign(cores=cores(), seed=seed), out / "bench-scale.parquet")
    _say(scale.lines(runs, cores(), seed), [table, scale.draw(runs, out / "bench-scale.png")])


def _masks(tiles: int, seed: int, out: Path) -> None:
    from spectralearth_build.bench.measure import peak_mb
    from spectralearth_build.bench.planning import clouds
    from spectralearth_build.bench.show import save
    from spectralearth_build.synthetic.footprints import footprints
    from spectralearth_build.threads import cores

    measured = clouds.validity(footprints(tiles, seed), seed)
    table = save(measured.assign(cores=cores(), seed=seed), out / "bench-masks.parquet")
    _say(clouds.lines(measured, cores(), seed, peak_mb()), [table])


def _say(lines: Iterable[str], written: list[Path]) -> None:
    from spectralearth_build.progress import say

    for line in lines:
        say(line)
    say(f"bench: wrote {', '.join(map(str, written))}")


@app.callback()
def describe() -> None:
    """Measure performance on this machine."""


app.command()(verb(plan))
app.command()(verb(optimum, speaks=True))
app.command()(verb(build))
app.command()(verb(cut))
app.command()(verb(store))
app.command()(verb(load))
app.command()(verb(query))
app.command()(verb(objects))
app.command()(verb(pretrain))
app.command()(verb(learn))
app.command()(verb(start))
