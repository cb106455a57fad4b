"""Commands on synthetic archives: `demo`, `synthesize` and `land-cover`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from spectralearth_build.cli.codes import DAMAGED, DONE
from spectralearth_build.cli.options import Begun, Dataset, Settings
from spectralearth_build.texts import counted

if TYPE_CHECKING:
    from spectralearth_build.config import Config

DEMO_FAULTS = ("night", "truncated_image")


def demo(settings: Settings, dataset: Dataset = Path("demo-dataset")) -> int:
    """Make a small synthetic archive next to DATASET and build a dataset from it, in about a minute.

    The archive has the exact EnMAP L2A format. It has locations with one date and with several dates, and a tile that
    crosses a zone border. It also has a night scene and a truncated file, which the build leaves out.

    Example: [bold]spectralearth-build demo[/bold]

    Next: open demo-dataset/report.html, then [bold]build[/bold] with an archive of your own.
    """
    from spectralearth_build import pipeline
    from spectralearth_build.files import require_writable
    from spectralearth_build.lock import alone
    from spectralearth_build.outcome import summary
    from spectralearth_build.progress import say

    config, dataset = settings.load(), dataset.resolve()
    archive = dataset.with_name(f"{dataset.name}-archive")
    require_writable(dataset)
    with alone(dataset):
        _make_once(archive, config)
        if pipeline.build(archive, dataset, config, compare=True):
            return DAMAGED
        for line in summary(dataset):
            say(line)
    return DONE


Dirty = Annotated[
    list[str] | None,
    typer.Option(help="Add a product with this fault, such as night; 'all' adds every fault. Repeatable."),
]
Corrections = Annotated[
    Literal["land", "mixed"],
    typer.Option(
        help="mixed: also water-mode and Combined products, and some that do not state their correction."
    ),
]
Generations = Annotated[
    bool,
    typer.Option(
        "--generations",
        help="Imitate the pixels of different processor versions: sea clipped at 0 from V0103 on, snow "
        "above 1, saturated and interpolated pixels. The first site is on a coast.",
    ),
]
FootprintsOnly = Annotated[
    bool,
    typer.Option("--footprints-only", help="Write only tiles.parquet, to test planning on large archives."),
]


Preset = Annotated[
    Literal["demo", "random"],
    typer.Option(help="demo: the archive of the demo command. random: any number of tiles."),
]


def synthesize(
    archive: Annotated[
        Path, typer.Argument(metavar="ARCHIVE", help="Folder for the archive; new or empty.", file_okay=False)
    ],
    settings: Settings,
    preset: Preset = "random",
    tiles: Annotated[int, typer.Option(min=1, help="Number of tiles of the random preset.")] = 12,
    seed: Annotated[int, typer.Option(min=0, help="Random seed. The same seed gives the same archive.")] = 0,
    size: Annotated[
        int, typer.Option(min=64, help="Edge of the rasters in pixels. Real tiles have about 1240.")
    ] = 300,
    dirty: Dirty = None,
    layouts: Annotated[
        Literal["plain", "mixed"], typer.Option(help="mixed: all file layouts in which products occur.")
    ] = "plain",
    corrections: Corrections = "land",
    noise: Annotated[float, typer.Option(min=0, help="Factor on the noise of the sensor.")] = 1.0,
    clouds: Annotated[bool, typer.Option(help="Whether to add clouds.")] = True,
    generations: Generations = False,
    footprints_only: FootprintsOnly = False,
) -> None:
    """Write a synthetic archive in the exact EnMAP L2A format. The same options give the same archive.

    With --footprints-only, ARCHIVE is a dataset folder: it gets a table of full-size tiles and no products.

    Example: [bold]spectralearth-build synthesize archive/ --tiles 30 --dirty all[/bold]

    Next: [bold]build archive/ dataset/[/bold], or [bold]plan[/bold] after --footprints-only.
    """
    from spectralearth_build.cluster import connect
    from spectralearth_build.files import require_writable
    from spectralearth_build.progress import say
    from spectralearth_build.synthetic.archive import CORRECTIONS, MIXED, ArchiveOptions
    from spectralearth_build.synthetic.archive import synthesize as write
    from spectralearth_build.synthetic.spec import PLAIN

    config = settings.load()
    require_writable(archive)
    if footprints_only:
        _write_footprints(archive, tiles, seed)
        return
    chosen = MIXED if layouts == "mixed" else (PLAIN,)
    modes = CORRECTIONS if corrections == "mixed" else CORRECTIONS[:1]
    options = ArchiveOptions(
        preset,
        tiles,
        seed=seed,
        size=size,
        dirty=tuple(dirty or ()),
        layouts=chosen,
        noise=noise,
        clouds=clouds,
        generations=generations,
        corrections=modes,
    )
    options.cases()  # refuses unknown ones before workers start
    with connect(config.run) as executor:
        made = write(archive.resolve(), options, executor)
    say(f"synthesize: {counted(len(made), 'product')} in {archive}")


def land_cover(
    dataset: Begun,
    folder: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="Folder for the rasters.", file_okay=False, resolve_path=True),
    ],
    seed: Annotated[
        int,
        typer.Option(min=0, help="Seed of the synthetic archive, which defines the ground. The demo uses 0."),
    ] = 0,
) -> None:
    """Write land-cover rasters that match the ground of a synthetic archive, as input for [bold]pair[/bold].

    Codes and projections are those of CORINE (EPSG:3035, 100 m), and of the Cropland Data Layer for several years and
    the National Land Cover Database (EPSG:5070, 30 m). tree_cover.tif has continuous values, in geographic coordinates
    (about 10 m). The rasters cover the surroundings of the tiles of DATASET, which must have been scanned. The same
    command writes the same bytes.

    Example: [bold]spectralearth-build land-cover demo-dataset cover/[/bold]

    Next: [bold]pair[/bold] with cover/corine.tif, or with all years of cover/cdl_*.tif.
    """
    from spectralearth_build.files import require_writable
    from spectralearth_build.progress import say
    from spectralearth_build.synthetic.land_cover import areas_of_dataset
    from spectralearth_build.synthetic.land_cover import land_cover as write

    require_writable(folder)
    written = write(folder, areas_of_dataset(dataset), seed)
    say(f"land-cover: {', '.join(path.name for path in written)} in {folder}")


def _write_footprints(dataset: Path, tiles: int, seed: int) -> None:
    from spectralearth_build.errors import UsageError
    from spectralearth_build.progress import say
    from spectralearth_build.synthetic.footprints import footprints
    from spectralearth_build.tables import TILES

    if (dataset / TILES.file).exists():
        raise UsageError(f"{TILES.file} already exists.", dataset, "Give a new folder.")
    table = footprints(tiles, seed)
    dataset.mkdir(parents=True, exist_ok=True)
    path = TILES.write(table, dataset)
    say(f"synthesize: {counted(len(table), 'tile')} in {path}")


def _make_once(archive: Path, config: Config) -> None:
    """Write the archive of the demo unless it exists. An unfinished archive of a stopped run is written again."""
    from spectralearth_build.cluster import connect
    from spectralearth_build.progress import say
    from spectralearth_build.synthetic.archive import ArchiveOptions, synthesize

    if archive.is_dir():
        say(f"synthesize: nothing to do, the archive exists: {archive}")
        return
    unfinished = archive.with_name(f"{archive.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    with connect(config.run) as executor:
        made = synthesize(unfinished, ArchiveOptions("demo", dirty=DEMO_FAULTS), executor)
    unfinished.rename(archive)
    say(f"synthesize: {counted(len(made), 'product')} in {archive}")
