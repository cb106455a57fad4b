"""Build a dataset: all stages at once, or one by one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spectralearth_build.api.entry import config_of, place, public
from spectralearth_build.errors import UsageError

if TYPE_CHECKING:
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
    archive: str | Path,
    dataset: str | Path,
    config: Config | Settings | str | Path | None = None,
    *,
    share: str | None = None,
) -> Built:
    """Cut the planned patches out of the products, into ``store.zarr``, and publish the dataset.

    The same as ``spectralearth-build cut``.

    Args:
        archive: folder or URL of the archive of EnMAP products.
        dataset: folder or URL of a planned dataset.
        config: settings, as for `build_dataset`; the same as for `plan_patches`.
        share: cut only a share of the tiles, such as ``"3/16"``, and publish nothing. Several shares may be cut at
            once, on any machines that see the same folders. Afterwards call `build_dataset`.

    Returns:
        Whether products were quarantined; False after a share, since `build_dataset` decides that.

    Raises:
        BuildError: The patches cannot be cut. The message says what to do.

    Examples:
        ```python
        cut_patches("enmap", "dataset", {"quality.max_cloud": 0.02, "plan.min_dates": 2})
        ```
    """
    settings, source, target = config_of(config), place(archive), place(dataset)
    from spectralearth_build.cutting.share import Share

    part = None if share is None else Share.parse(share)
    if part and not (isinstance(source, Path) and isinstance(target, Path)):
        raise UsageError("Shares can be cut only from a folder into a folder, not on object stores.")
    from spectralearth_build import pipeline  # slow, so input is refused before
    from spectralearth_build.cluster import connect
    from spectralearth_build.outcome import quarantined
    from spectralearth_build.places import both

    # Shares lock the dataset as readers do: against runs that change it, not against each other.
    verb, staging = f"cut-{part.name}" if part else "cut", settings.run.staging
    with (
        both(source, target, staging, verb, write=part is None) as (products, folder),
        connect(settings.run, pipeline.planned_memory(folder)) as executor,
    ):
        run = pipeline.Run(folder, settings, executor)
        if part:
            run.cut_share(products, part)
            return Built(False)
        run.cut(products)
        return Built(quarantined(folder, settings.run.accept_quarantined))
