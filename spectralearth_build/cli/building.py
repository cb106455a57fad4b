"""Commands that build a dataset: `build`, and its first three stages one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from spectralearth_build.cli.codes import DONE, QUARANTINED, code_of_damages
from spectralearth_build.cli.options import Accept, ArchivePlace, BegunPlace, DatasetPlace, Manifest, Settings
from spectralearth_build.errors import UsageError

if TYPE_CHECKING:
    from spectralearth_build.config import Config


def build(
    archive: ArchivePlace,
    dataset: DatasetPlace,
    settings: Settings,
    manifest: Manifest = "",
    compare: Annotated[
        bool, typer.Option("--compare", help="At the end, also compare every patch with its source pixels.")
    ] = False,
    accept_quarantined: Accept = False,
    retry_quarantined: Annotated[
        bool, typer.Option("--retry-quarantined", help="Retry quarantined products.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --cluster slurm: print the script of the jobs, and end.")
    ] = False,
) -> int:
    """Build a dataset from an archive: scan, plan, cut, verify, report.

    Each stage does only what is still missing. So the same command continues after a stop, and does nothing if the
    dataset is complete. Products that cannot be used are left out. tiles.parquet and the report list them with the
    reason.

    Example: [bold]spectralearth-build build enmap/ dataset/ --workers 4[/bold]

    Next: open dataset/report.html in a browser, or call spectralearth_build.open_dataset("dataset") in Python.
    """
    from spectralearth_build.api.building import build_dataset

    config = settings.load(scan_manifest=manifest, run_accept_quarantined=float(accept_quarantined) or None)
    if dry_run:
        return _print_script(config)
    built = build_dataset(archive, dataset, config, compare=compare, retry_quarantined=retry_quarantined)
    if built.damages:
        return code_of_damages(built.damages)
    return QUARANTINED if built.quarantined else DONE


def _print_script(config: Config) -> int:
    from spectralearth_build.cluster.slurm import script_of

    if config.run.scheduler != "slurm":
        raise UsageError("--dry-run prints the script of jobs.", remedy="Add --cluster slurm.")
    print(script_of(config.run), end="")
    return DONE


def scan(
    archive: ArchivePlace,
    dataset: DatasetPlace,
    settings: Settings,
    manifest: Manifest = "",
    accept_quarantined: Accept = False,
) -> int:
    """Find the products of an archive and read their metadata and masks into tiles.parquet.

    Searches folders, .zip files, and .tar.gz files of zips. Every product gets one row with its status and, if it
    cannot be used, the reason.

    Example: [bold]spectralearth-build scan enmap/ dataset/[/bold]

    Next: [bold]plan DATASET[/bold].
    """
    from spectralearth_build.api.building import scan_archive

    config = settings.load(scan_manifest=manifest, run_accept_quarantined=float(accept_quarantined) or None)
    return QUARANTINED if scan_archive(archive, dataset, config).quarantined else DONE


def plan(dataset: BegunPlace, settings: Settings) -> None:
    """Choose the locations of patches and their rows in the store, and print the estimated cost of cutting.

    Writes overlaps, tuples, locations and patches (.parquet), plan.json and a map, plan.png. Until the first patch is
    cut, you can plan again with other settings as often as you like.

    Example: [bold]spectralearth-build plan dataset/ --set plan.value=pairs[/bold]

    Next: [bold]cut ARCHIVE DATASET[/bold], with the same settings.
    """
    from spectralearth_build.api.building import plan_patches

    plan_patches(dataset, settings.load())


def cut(
    archive: ArchivePlace,
    dataset: BegunPlace,
    settings: Settings,
    accept_quarantined: Accept = False,
    share: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER/COUNT",
            help="Cut only this share of the tiles, such as 3/16, and publish nothing. Shares may be cut side by side; "
            "`build` then publishes.",
        ),
    ] = None,
) -> int:
    """Cut the planned patches out of the products, into store.zarr, and publish the dataset.

    Each tile is read once. A tile that turns out to be damaged is quarantined and does not affect the others.

    Example: [bold]spectralearth-build cut enmap/ dataset/[/bold]

    Next: [bold]verify DATASET[/bold].
    """
    from spectralearth_build.api.building import cut_patches

    config = settings.load(run_accept_quarantined=float(accept_quarantined) or None)
    return QUARANTINED if cut_patches(archive, dataset, config, share=share).quarantined else DONE
