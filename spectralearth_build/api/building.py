"""Build a dataset: all stages at once, or one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spectralearth_build.api.entry import config_of, place, public

if TYPE_CHECKING:
    from pathlib import Path

    from spectralearth_build.api.entry import Settings
    from spectralearth_build.checking.damage import Damage
    from spectralearth_build.config import Config


@dataclass(frozen=True)
class Built:
    """How a stage that reads an archive ended."""

    quarantined: bool
    """Whether more products were quarantined than ``run.accept_quarantined`` accepts; see ``quarantine.parquet``."""
    damages: tuple[Damage, ...] = ()
    """The damage that the final verification found; empty if the dataset is sound."""


@public
def build_dataset(
    archive: str | Path,
    dataset: str | Path,
    config: Config | Settings | str | Path | None = None,
    *,
    compare: bool = False,
    retry_quarantined: bool = False,
) -> Built:
    """Build a dataset from an archive: scan, plan, cut, verify, report. The same as ``spectralearth-build build``.

    Each stage does only what is still missing. Call the function again after a stop, or when the archive has grown.

    Args:
        archive: folder of EnMAP products, or its URL (``s3://``, ``gs://``, ``az://``).
        dataset: folder or URL of the dataset, created if missing.
        config: the settings, as a `Config`, a dict such as ``{"plan.value": "pairs", "run.workers": 4}``, or the
            path of a TOML file.
        compare: whether to compare every patch with its source pixels at the end.
        retry_quarantined: whether to retry quarantined products.

    Returns:
        Whether products were quarantined, and what is damaged.

    Raises:
        BuildError: A stage failed. The message says what to do.

    Examples:
        ```python
        from spectralearth_build import build_dataset

        built = build_dataset("enmap", "dataset", {"plan.value": "pairs", "run.workers": 4})
        assert not built.damages
        ```
    """
    settings, source, target = config_of(config), place(archive), place(dataset, needed=False)
    from spectralearth_build import pipeline  # slow, so input is refused before
    from spectralearth_build.outcome import quarantined
    from spectralearth_build.places import both

    with both(source, target, settings.run.staging, verb="build") as (products, folder):
        damages = tuple(pipeline.build(products, folder, settings, compare, retry_quarantined))
        left_out = not damages and quarantined(folder, settings.run.accept_quarantined)
        return Built(left_out, damages)


@public
def scan_archive(
    archive: str | Path, dataset: str | Path, config: Config | Settings | str | Path | None = None
) -> Built:
    """Find the products of an archive and read their metadata and masks into ``tiles.parquet``.

    The same as ``spectralearth-build scan``.

    Args:
        archive: folder or URL of the archive of EnMAP products.
        dataset: folder or URL of the dataset, created if missing.
        config: settings, as for `build_dataset`.

    Returns:
        Whether products were quarantined.

    Raises:
        BuildError: The archive cannot be scanned. The message says what to do.

    Examples:
        ```python
        scan_archive("enmap", "dataset", {"scan.validity": "classes"})
        ```
    """
    settings, source, target = config_of(config), place(archive), place(dataset, needed=False)
    from spectralearth_build import pipeline  # slow, so input is refused before
    from spectralearth_build.cluster import connect
    from spectralearth_build.outcome import quarantined
    from spectralearth_build.places import both

    places = both(source, target, settings.run.staging, verb="scan")
    with places as (products, folder), connect(settings.run) as executor:
        pipeline.Run(folder, settings, executor).scan(products)
        return Built(quarantined(folder, settings.run.accept_quarantined))


@public
def plan_patches(dataset: str | Path, config: Config | Settings | str | Path | None = None) -> None:
    """Choose the locations of patches and their rows in the store, and print the estimated cost of cutting.

    The same as ``spectralearth-build plan``. Until the first patch is cut, you can plan again with other settings.

    Args:
        dataset: folder or URL of a scanned dataset.
        config: settings, as for `build_dataset`.

    Raises:
        BuildError: The plan cannot be made. The message says what to do.

    Examples:
        ```python
        plan_patches("dataset", {"quality.max_cloud": 0.02, "plan.min_dates": 2})
        ```
    """
    settings, target = config_of(config), place(dataset)
    from spectralearth_build import pipeline  # slow, so input is refused before
    from spectralearth_build.cluster import connect
    from spectralearth_build.places import at_work

    with at_work(target, settings.run.staging, verb="plan") as folder, connect(settings.run) as executor:
        pipeline.Run(folder, settings, executor).plan()


@public
def cut_patches(
    archive: str | Path, dataset: str | Path, config: Config | Settings | str | Path | None = None
) -> Built:
    """Cut the planned patches out of the products, into ``store.zarr``, and publish the dataset.

    The same as ``spectralearth-build cut``.

    Args:
        archive: folder or URL of the archive of EnMAP products.
        dataset: folder or URL of a planned dataset.
        config: settings, as for `build_dataset`; the same as for `plan_patches`.

    Returns:
        Whether products were quarantined.

    Raises:
        BuildError: The patches cannot be cut. The message says what to do.

    Examples:
        ```python
        cut_patches("enmap", "dataset", {"quality.max_cloud": 0.02, "plan.min_dates": 2})
        ```
    """
    settings, source, target = config_of(config), place(archive), place(dataset)
    from spectralearth_build import pipeline  # slow, so input is refused before
    from spectralearth_build.cluster import connect
    from spectralearth_build.outcome import quarantined
    from spectralearth_build.places import both

    with (
        both(source, target, settings.run.staging, verb="cut") as (products, folder),
        connect(settings.run, pipeline.planned_memory(folder)) as executor,
    ):
        pipeline.Run(folder, settings, executor).cut(products)
        return Built(quarantined(folder, settings.run.accept_quarantined))
