"""Verify a finished dataset, repair it, and write its report."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from spectralearth_build.api.entry import config_of, folder, local, place, public

if TYPE_CHECKING:
    from pathlib import Path

    from spectralearth_build.api.entry import Settings
    from spectralearth_build.checking.damage import Damage
    from spectralearth_build.config import Config
    from spectralearth_build.runlog.status import Status


@public
def verify_dataset(
    dataset: str | Path,
    archive: str | Path | None = None,
    config: Config | Settings | str | Path | None = None,
) -> list[Damage]:
    """Read the whole dataset and list all damage. The same as ``spectralearth-build verify``.

    Checks the hash of every file, the checksum of every patch, the index, and whether tables and store agree.

    Args:
        dataset: folder or URL of the dataset.
        archive: if given, every patch is also compared with its source pixels in this archive.
        config: settings, as for `build_dataset`; only the section ``run`` is used.

    Returns:
        All damage; empty if the dataset is sound.

    Raises:
        BuildError: The dataset is not finished, or the archive lacks some of its products.

    Examples:
        ```python
        for damage in verify_dataset("dataset", "enmap"):
            print(damage.kind, damage.path, damage.message)
        ```
    """
    settings, target, source = config_of(config), place(dataset), place(archive) if archive else None
    from spectralearth_build import pipeline  # slow, so input is refused before
    from spectralearth_build.cluster import connect
    from spectralearth_build.places import at_hand, at_work

    staging = settings.run.staging
    with ExitStack() as stack:
        mine = stack.enter_context(at_work(target, staging, write=False))
        products = stack.enter_context(at_hand(source, mine, staging)) if source else None
        needed = pipeline.planned_memory(mine) if archive else 0
        executor = stack.enter_context(connect(settings.run, needed))
        return pipeline.Run(mine, settings, executor).verify(products)


@public
def repair_dataset(
    dataset: str | Path, archive: str | Path, config: Config | Settings | str | Path | None = None
) -> list[Damage]:
    """Recreate damaged files, and only those. The same as ``spectralearth-build repair``.

    A file that was cut, planned or computed again replaces the damaged one only if it is identical, bit for bit, to the
    published one.

    Args:
        dataset: folder of the dataset.
        archive: folder of the archive that the dataset was built from.
        config: settings, as for `build_dataset`. If the dataset was built with settings of ``scan`` or with a region
            file, give the same ones. All others are taken from the dataset.

    Returns:
        The remaining damage; empty if everything was repaired.

    Raises:
        BuildError: The dataset cannot be repaired. The message says what to do.

    Examples:
        ```python
        left = repair_dataset("dataset", "enmap")
        ```
    """
    settings, mine, products = config_of(config), folder(dataset).resolve(), local(archive).resolve()
    from spectralearth_build import pipeline  # slow, so input is refused before
    from spectralearth_build.cluster import connect
    from spectralearth_build.lock import alone
    from spectralearth_build.runlog.writing import recorded

    with (
        alone(mine),
        recorded(mine, "repair"),
        connect(settings.run, pipeline.planned_memory(mine)) as executor,
    ):
        return pipeline.Run(mine, settings, executor).repair(products)


@public
def build_status(dataset: str | Path) -> Status:
    """Return how far a build is, while it runs and after it ended or died. The same as ``spectralearth-build status``.

    Reads only files of the dataset: the plan, the commit records and the event log of the latest run. Locks nothing.

    Args:
        dataset: folder of the dataset.

    Returns:
        The state of the dataset and of its latest run, with the stages of the run.

    Raises:
        BuildError: Nothing was ever built in this folder.

    Examples:
        ```python
        status = build_status("dataset")
        print(status.state, status.committed_shards, "of", status.planned_shards)
        ```
    """
    mine = folder(dataset)
    from spectralearth_build.runlog.status import status_of

    return status_of(mine)


@public
def write_report(dataset: str | Path, config: Config | Settings | str | Path | None = None) -> None:
    """Write ``report.html``, one page that works offline: maps, depths, dates, samples and what was left out.

    The same as ``spectralearth-build report``.

    Args:
        dataset: folder or URL of the dataset.
        config: settings, as for `build_dataset`; only ``run.staging`` is used.

    Raises:
        BuildError: The dataset is not finished, or cannot be read or written.

    Examples:
        ```python
        write_report("dataset")
        ```
    """
    from spectralearth_build import pipeline
    from spectralearth_build.places import at_work

    with at_work(place(dataset), config_of(config).run.staging) as mine:
        pipeline.report(mine)
