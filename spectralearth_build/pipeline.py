"""Run the stages in order and report each to the user in a line or two. Each stage has its own module or package."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dask.utils import format_bytes

from spectralearth_build.archive.correction import remarks
from spectralearth_build.archive.no_products import refuse_empty, refuse_unusable
from spectralearth_build.archive.scan import scan
from spectralearth_build.archive.tile_list import read_tile_list
from spectralearth_build.archive.tile_rows import UNPLANNED
from spectralearth_build.archive.versions import waiting
from spectralearth_build.checking.against import not_compared, require_sources
from spectralearth_build.checking.damage import NOT_CHECKED, Damage
from spectralearth_build.checking.repair import repair
from spectralearth_build.checking.verify import verify
from spectralearth_build.cluster import Executor, connect, raise_if_stopped
from spectralearth_build.config import Config
from spectralearth_build.cutting.appeals import retry_quarantined
from spectralearth_build.cutting.cut import cut, cut_share
from spectralearth_build.cutting.no_patches import refuse_no_patches
from spectralearth_build.cutting.share import Share
from spectralearth_build.cutting.space import check_space
from spectralearth_build.files import write_bytes
from spectralearth_build.journal import newest
from spectralearth_build.kernels import cache_note
from spectralearth_build.layout import CHECKED, MANIFEST, MAP, PLAN, REPORT
from spectralearth_build.outcome import unlabelled
from spectralearth_build.plan.planner import plan, refuse_other_settings, tiles_in_use
from spectralearth_build.plan_document import PlanDocument
from spectralearth_build.progress import say
from spectralearth_build.publishing.quarantine import causes
from spectralearth_build.storage import attach
from spectralearth_build.tables import LOCATIONS, STATUSES, TILES
from spectralearth_build.texts import counted

if TYPE_CHECKING:
    from spectralearth_build.columns import Table

ROUNDS = 3
"""Number of times to scan and plan again because of what cut found: a tile may have several damaged products."""


@dataclass(frozen=True)
class Run:
    """The stages of one build of a dataset, with one set of settings."""

    dataset: Path
    config: Config
    executor: Executor

    def scan(self, archive: Path) -> None:
        """Find and read products; see `archive.scan.scan`."""
        before = _stamp(newest(self.dataset, TILES.file))
        refuse_empty(archive, self.dataset)
        needed = tiles_in_use(self.dataset)
        tiles = scan(archive, self.dataset, self.config, self.executor, needed)
        counts = tiles["status"].mask(tiles["eligible"].astype(bool), "sound").value_counts()
        found = ", ".join(f"{counts[status]} {status}" for status in ("sound", *STATUSES) if status in counts)
        same = before is not None and before == _stamp(newest(self.dataset, TILES.file))
        say(f"scan: {counted(len(tiles), 'product')}: {found or 'none'}{', nothing to do' if same else ''}")
        for line in remarks(tiles, self.config.scan.correction):
            say(f"scan: {line}")
        if holes := int((tiles["hole_fraction"] > 0).sum()):
            say(
                f"scan: tiles with holes, where no window is placed: {holes}; see hole_fraction in tiles.parquet"
            )
        if newer := waiting(tiles):
            more = f" and {len(newer) - 3} more" if len(newer) > 3 else ""
            say(f"scan: newer versions of tiles that the dataset has: {', '.join(newer[:3])}{more}")
            say("scan: they are not used; to replace the older ones, type `--set plan.replace_versions=true`")
        refuse_unusable(archive, tiles)

    def plan(self) -> int:
        """Place patches and report the estimated cost; returns the bytes of memory that a worker needs."""
        planned = plan(self.dataset, self.config, self.executor)
        if note := cache_note():
            say(f"plan: {note}")
        for line in planned.summary(self.executor.workers):
            say(f"plan: {line}")
        if not planned.fresh:
            say("plan: nothing to do, inputs and settings have not changed")
        tiles = TILES.read(newest(self.dataset, TILES.file).parent, ["eligible", "reason", "error_class"])
        refuse_no_patches(tiles, planned.counts["patches"], self.config)
        if planned.fresh or not newest(self.dataset, MAP).is_file():
            self._draw_map(newest(self.dataset, MAP), waiting=True)
        return planned.estimate.worker_bytes

    def cut(self, archive: Path) -> int:
        """Cut the planned patches and publish; see `cutting.cut.cut`.

        Returns:
            The number of tiles that scan and plan must look at again.
        """
        if self.config.run.check_space:
            check_space(self.dataset)
        result = cut(archive, self.dataset, self.config, self.executor)
        if result.changed and not result.written:
            return len(result.changed)
        for label, count in unlabelled(self.dataset).items():
            lack = counted(count, "patch lacks", "patches lack")
            say(f"cut: {lack} labels of {label}: run `pair` again, with the same rasters")
        if new := unplanned(self.dataset):
            say(f"cut: {counted(new, 'tile')} found by scan, not in the plan yet: run `plan` and then `cut`")
        if not result.tiles_cut and not result.published:
            say(f"cut: nothing to do, {counted(result.written, 'patch is', 'patches are')} there")
            return 0
        written = counted(result.written, "patch", "patches")
        say(f"cut: {counted(result.tiles_cut, 'tile')} cut; the dataset has {written}")
        if result.skipped:
            say(
                f"cut: {counted(result.skipped, 'planned patch', 'planned patches')} skipped, see patches.parquet"
            )
        if result.failed:
            say(f"cut: {counted(len(result.failed), 'tile')} failed: {', '.join(result.failed[:5])}")
        if bad := causes(TILES.read(self.dataset, ["status", "error_class"])):
            say(f"cut: quarantined: {bad}; see quarantine.parquet, and `build --retry-quarantined`")
        return len(result.changed)

    def cut_share(self, archive: Path, share: Share) -> None:
        """Cut a share of the tiles and publish nothing; see `cutting.cut.cut_share`."""
        if self.config.run.check_space:
            check_space(self.dataset)
        tiles, failed = cut_share(archive, self.dataset, self.config, self.executor, share)
        said = f"{counted(tiles, 'tile')} cut" if tiles else "nothing to do"
        say(
            f"cut: share {share.number} of {share.count}: {said}{f', {failed} of them failed' if failed else ''}"
        )
        say("cut: when all shares are cut, run `build`, which publishes the dataset")

    def cut_as_scanned(self, archive: Path) -> None:
        """Cut. If products changed after their scan, or are damaged and there are others, scan, plan and cut again."""
        for _ in range(ROUNDS):
            changed = self.cut(archive)
            if not changed:
                return
            what = "changed since the scan, or turned out to be damaged and can be replaced"
            say(f"cut: {counted(changed, 'tile')} {what}; scanning and planning again")
            for stage in (self.scan, lambda _: self.plan()):
                raise_if_stopped()
                stage(archive)
            raise_if_stopped()
        self.cut(archive)

    def verify(self, archive: Path | None = None) -> list[Damage]:
        """Read everything again and report damage; see `checking.verify.verify`.

        Raises:
            UsageError: nothing is damaged, but the archive lacks products to compare with.
        """
        if archive is not None:
            require_sources(self.dataset, archive)
        found = verify(self.dataset, archive, self.executor)
        damages = [damage for damage in found if not damage.source_missing]
        for damage in damages:
            say(f"verify: {damage}")
        missing = [damage.path for damage in found if damage.source_missing]
        if missing and not damages:
            raise not_compared(missing)
        against = " and equals its source pixels" if archive else ""
        say(f"verify: {_told(damages)}" if damages else f"verify: everything is sound{against}")
        return damages

    def repair(self, archive: Path) -> list[Damage]:
        """Rebuild damaged files; returns the remaining damage. See `checking.repair.repair`."""
        result = repair(archive, self.dataset, self.config, self.executor, self._draw_map)
        if {damage.path for damage in result.left} == {REPORT}:
            report(self.dataset)
            result.left = verify(self.dataset, None, self.executor)
        for damage in result.found:
            say(f"repair: found {damage}")
        for name in result.repaired:
            say(f"repair: rebuilt: {name}")
        for text in result.refused:
            say(f"repair: cannot be repaired: {text}")
        say(f"repair: still {_told(result.left)}" if result.left else "repair: everything is sound")
        return result.left

    def _draw_map(self, path: Path, waiting: bool = False) -> None:
        from spectralearth_build.report.maps import plan_map  # it imports Matplotlib

        def folder(table: Table) -> Path:
            return newest(self.dataset, table.file).parent if waiting else self.dataset

        tiles = TILES.read(folder(TILES), ["eligible", "geometry"])
        places = partial(LOCATIONS.parts, folder(LOCATIONS), ["n", "geometry"])  # whole tables take gigabytes
        plan_map(tiles[tiles["eligible"].astype(bool)], places, path)


def build(
    archive: Path, dataset: Path, config: Config, compare: bool = False, retry: bool = False
) -> list[Damage]:
    """Run all stages. A stage with nothing to do changes nothing.

    Args:
        archive: folder of the products.
        dataset: folder of the dataset; created if need be.
        config: the settings.
        compare: also compare every patch with its source pixels.
        retry: try quarantined products again.

    Returns:
        The damage that `verify` found; empty if everything is sound.

    Raises:
        BuildError: a stage failed.
    """
    refuse_early(archive, dataset, config)
    with connect(config.run, planned_memory(dataset)) as executor:
        if retry:
            say(f"trying {counted(retry_quarantined(dataset), 'quarantined product')} again")
        run = Run(dataset, config, executor)
        run.scan(archive)
        raise_if_stopped()
        needed = run.plan()
        raise_if_stopped()
        if fits(executor, needed):
            return _finish(run, archive, compare)
    say(f"cut needs {format_bytes(needed)} per worker; starting again with fewer workers")
    with connect(config.run, needed) as executor:
        return _finish(Run(dataset, config, executor), archive, compare)


def refuse_early(archive: Path, dataset: Path, config: Config) -> None:
    """Refuse, before the archive is scanned, input that a later stage would refuse.

    Raises:
        UsageError: the archive is empty, or the tile list cannot be read.
        ArchiveError: the archive is empty, but the dataset was built from products.
        ConfigError: the region file cannot be read.
        PlanChangedError: shards were cut with other settings.
    """
    refuse_empty(archive, dataset)
    if config.scan.manifest:
        read_tile_list(Path(config.scan.manifest))
    refuse_other_settings(dataset, config)


def report(dataset: Path) -> None:
    """Write the report page."""
    from spectralearth_build.report.page import write_report  # it imports Matplotlib

    say(f"report: {attach.shown(write_report(dataset))}")


def unplanned(dataset: Path) -> int:
    """How many usable tiles of a dataset scan has found since it was planned."""
    return int(TILES.read(dataset, ["reason"])["reason"].eq(UNPLANNED["reason"]).sum())


def fits(executor: Executor, needed: int) -> bool:
    """Whether the memory limit of a worker is enough for a task."""
    return executor.memory_limit is None or needed <= executor.memory_limit


def planned_memory(dataset: Path) -> int:
    """Peak bytes of a task as estimated by the plan that is there; 0 if there is none."""
    plan = PlanDocument.readable(newest(dataset, PLAN))
    return plan.estimate.worker_bytes if plan and plan.estimate else 0


def _finish(run: Run, archive: Path, compare: bool) -> list[Damage]:
    run.cut_as_scanned(archive)
    raise_if_stopped()
    manifest = hashlib.sha256((run.dataset / MANIFEST).read_bytes()).hexdigest()
    checked = _json(run.dataset / CHECKED)
    same = checked.get("manifest") == manifest and checked.get("compared", False) >= compare
    if same and (run.dataset / REPORT).is_file():
        say("verify, report: nothing to do since the last build")
        return []
    damages = run.verify(archive if compare else None)
    if damages:
        return damages
    raise_if_stopped()
    report(run.dataset)
    write_bytes(run.dataset / CHECKED, json.dumps({"manifest": manifest, "compared": compare}).encode())
    return []


def _told(damages: list[Damage]) -> str:
    """The number of damaged points, and of points that could not be checked."""
    unknown = sum(damage.kind == NOT_CHECKED for damage in damages)
    known = len(damages) - unknown
    parts = [f"damaged in {counted(known, 'point')}"] if known else []
    parts += [f"{counted(unknown, 'point')} could not be checked"] if unknown else []
    return ", ".join(parts)


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _stamp(path: Path) -> tuple[int, int] | None:
    return (path.stat().st_mtime_ns, path.stat().st_ino) if path.is_file() else None
