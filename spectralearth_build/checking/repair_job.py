"""The steps of a repair: each makes one kind of damaged file again, and accepts it only if it is as published."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from spectralearth_build.checking.as_published import (
    committed_hash,
    earlier_forms,
    entry_if_there,
    record_as_published,
)
from spectralearth_build.checking.damage import NOT_CHECKED, Damage
from spectralearth_build.checking.rebuild import cut_again, planned_again
from spectralearth_build.cluster import Executor, Failure
from spectralearth_build.config import Config
from spectralearth_build.errors import ConfigError, PlanChangedError, UsageError
from spectralearth_build.files import make_folder, move, remove, write_bytes
from spectralearth_build.layout import (
    COMMITS,
    MAP,
    PLAN,
    REPORT,
    STORE,
    commit_name,
    label_definition,
    label_of,
    shard_name,
    shard_of,
)
from spectralearth_build.publishing import final_status
from spectralearth_build.publishing.committed import read_committed
from spectralearth_build.publishing.final_status import FinalStatus, given_up
from spectralearth_build.publishing.publish import publish, put
from spectralearth_build.store.failed_tiles import read_failed
from spectralearth_build.store.labels import MEND
from spectralearth_build.store.manifest import Entry, Manifest, entry, entry_of_file
from spectralearth_build.store.planned import Planned, load_plan
from spectralearth_build.tables import ALL_BANDS, AT_CUT, LOCATIONS, OVERLAPS, PATCHES, TILES, TUPLES

PLANNED = (PLAN, OVERLAPS.file, TUPLES.file)
FINAL = (TILES.file, LOCATIONS.file, PATCHES.file)


@dataclass
class Repair:
    """The result of a repair."""

    found: list[Damage]
    """All damage found."""
    repaired: list[str] = field(default_factory=list)
    """Files that were made again."""
    refused: list[str] = field(default_factory=list)
    """Damage that cannot be repaired, with the reason."""
    left: list[Damage] = field(default_factory=list)
    """All remaining damage."""


@dataclass(frozen=True)
class RepairJob:
    """A repair in progress."""

    archive: Path
    dataset: Path
    folder: Path
    """Folder in which files are made again."""
    config: Config
    executor: Executor
    manifest: Manifest | None
    result: Repair

    @property
    def names(self) -> set[str]:
        """Return the damaged files, without those that this machine cannot read."""
        return {damage.path for damage in self.result.found if damage.kind != NOT_CHECKED}

    @property
    def expected(self) -> Mapping[str, Entry]:
        """Return the expected files; empty without a manifest."""
        return self.manifest.files if self.manifest else {}

    def plan(self) -> Planned | None:
        """Return the plan, made again if any of its files is damaged; None if the result differs."""
        hit = ", ".join(sorted(self._changed({*PLANNED, *FINAL})))
        if not hit:
            return load_plan(self.dataset)
        settings = self.manifest.settings if self.manifest else {}
        try:
            for config in _ways(self.config):
                planned = planned_again(self.archive, self.dataset, config, settings, self.executor)
                if self.manifest is not None and planned.id == self.manifest.plan:
                    return planned
        except (
            ConfigError,
            UsageError,
            PlanChangedError,
        ) as error:  # other errors, such as a full disk, end the repair
            self.result.refused.append(f"{hit}: planning again failed: {error}")
            return None
        self.result.refused.append(
            f"{hit}: planning again gives another plan. The dataset has grown, the archive has changed, "
            "or settings of scan or the region file were not given. Build into a new folder."
        )
        return None

    def shards(self, planned: Planned) -> None:
        """Cut shards again that are damaged or have a damaged commit record."""
        hit = {shard for name in self.names if (shard := shard_of(name)) is not None}
        hit = {shard for shard in hit if self._known(shard)}
        todo = {
            tile: wanted
            for tile, shards in planned.shards_by_tile.items()
            if (wanted := [shard for shard in shards if shard in hit])
        }
        failures: list[Failure] = []
        if todo:
            failures = cut_again(
                self.archive,
                self.dataset,
                planned=planned,
                shards=todo,
                config=self.config,
                executor=self.executor,
            )
        self.result.refused += [f"{failure.key}: {failure.message}" for failure in failures]
        failed = {failure.key for failure in failures}
        for shard in (shard for tile, shards in todo.items() if tile not in failed for shard in shards):
            self._put(shard)
        self.result.refused += [
            f"{shard_name(shard)}: all its patches are retired, so it cannot be cut again."
            for shard in sorted(hit - {shard for shards in todo.values() for shard in shards})
        ]

    def tables(self, planned: Planned) -> None:
        """Restore tables and plan, if the new ones are identical."""
        made = {name: self.folder / name for name in self._changed(PLANNED)}
        if hit := self._changed(FINAL):
            try:
                committed = read_committed(self.dataset, planned)
                failed = given_up(planned, committed.plans, read_failed(self.dataset, planned.first_id))
            except UsageError as error:
                self.result.refused.append(f"{', '.join(sorted(hit))}: {error}")
                return
            status = FinalStatus(planned, committed, failed)
            made |= {
                table.file: status.write(table, self.folder / "final")
                for table in final_status.FINAL
                if table.file in hit
            }
        for name, path in made.items():
            self._accept(name, path)

    def map(self, draw: Callable[[Path], None]) -> None:
        """Draw the map again, once the tables are intact."""
        if MAP in self.names and not self.result.refused:
            draw(self.folder / MAP)
            self._accept(MAP, self.folder / MAP)

    def labels(self) -> None:
        """Refuse to repair labels: they need their rasters, which only `pair` gets."""
        self.result.refused += [
            f"labels of {label}: repair does not have their rasters. {MEND}"
            for label in sorted(self._labels())
        ]

    def unread(self) -> None:
        """Refuse to replace unreadable files, which may be intact. Users who know that they are not can delete them."""
        self.result.refused += [
            f"{damage.path}: {damage.message} If it is lost, delete it and run `repair` again."
            for damage in self.result.found
            if damage.kind == NOT_CHECKED
        ]

    def unknown(self) -> None:
        """Delete unknown files in store and commits. Unknown files elsewhere may belong to the user."""
        for name in (damage.path for damage in self.result.found if damage.kind == "FileUnknown"):
            if label_of(name) in self._labels():
                continue
            if name.startswith((f"{STORE}/", f"{COMMITS}/")):
                remove(self.dataset / name)
                self.result.repaired.append(name)
            else:
                self.result.refused.append(f"{name}: not part of the dataset. Move it to another folder.")

    def derived(self) -> None:
        """Compute files that derive from plan and commit records, unless one of these is still damaged."""
        derived = {name for name in self.names if shard_of(name) is None and not label_of(name)} - {
            *PLANNED,
            *FINAL,
            MAP,
            REPORT,
        }
        if not derived or self.result.refused:
            return
        before = {name: entry_if_there(self.dataset / name) for name in derived}
        publish(self.dataset, anew=True)
        self.result.repaired += [
            name for name in sorted(derived) if entry_if_there(self.dataset / name) != before[name]
        ]

    def _changed(self, names: Iterable[str]) -> set[str]:
        """Return the damaged files that are not as published; others only disagree with a damaged file."""
        hit = self.names.intersection(names)
        return {
            name
            for name in hit
            if name not in self.expected or self.expected[name] != entry_if_there(self.dataset / name)
        }

    def _labels(self) -> set[str]:
        """Return the labels of the dataset that have damaged files."""
        hit = {label_of(name) for name in self.names} - {""}
        return {
            label
            for label in hit
            if label_definition(label) in self.expected or (self.dataset / label_definition(label)).is_file()
        }

    def _known(self, shard: int) -> bool:
        """Return whether the expected hash of a shard is known."""
        if self.expected:
            return shard_name(shard) in self.expected
        return (self.dataset / commit_name(shard)).is_file()

    def _put(self, shard: int) -> None:
        """Move a shard and its commit record into place, if they are as expected.

        If manifest and commit record are both damaged, the expected hash is unknown, and only the plan is the
        reference.
        """
        record, file = commit_name(shard), shard_name(shard)
        wanted = self.expected.get(file, {}).get("sha256") or committed_hash(self.dataset / record)
        if wanted not in (None, entry_of_file(self.folder / file)["sha256"]):
            self.result.refused.append(
                f"{file}: cutting again gives another file than was published. Its products or the versions "
                "of libraries (see manifest.json) have changed. Build into a new folder."
            )
            return
        made = record_as_published(record, self.folder, self.dataset, self.expected)
        write_bytes(self.folder / record, made)
        for name in (file, record):
            if entry_if_there(self.dataset / name) != entry_if_there(self.folder / name):
                make_folder((self.dataset / name).parent)
                move(self.folder / name, self.dataset / name)
                self.result.repaired.append(name)

    def _accept(self, name: str, made: Path) -> None:
        """Put a file into place, if it is as expected, in the format of this or an earlier version."""
        expected = self.expected.get(name)
        same = entry_of_file(made) == expected
        form = made if same else next((f for f in earlier_forms(name, made) if entry(f) == expected), None)
        if form is None:
            self.result.refused.append(f"{name}: making it again gives another file than was published.")
        else:
            put(self.dataset / name, form)
            self.result.repaired.append(name)


def _ways(config: Config) -> Iterator[Config]:
    """Yield the settings, then those of earlier versions: what products were scanned with may be lost as well."""
    yield config
    if config.scan.validity == AT_CUT:
        scan = config.scan.model_copy(update={"validity": ALL_BANDS})
        yield config.model_copy(update={"scan": scan})
