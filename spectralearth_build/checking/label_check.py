"""Verification of the labels of a finished dataset: shards, metadata and table."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from spectralearth_build.checking.affected import Affected
from spectralearth_build.checking.damage import Damage
from spectralearth_build.checking.findings import finding, of_failure
from spectralearth_build.cluster import Executor, Failure
from spectralearth_build.errors import DamagedError
from spectralearth_build.layout import array_metadata, is_label_shard, label_of
from spectralearth_build.progress import track
from spectralearth_build.store.codec import checksum_of
from spectralearth_build.store.label_arrays import hash_of, label_document, read_label
from spectralearth_build.store.labels import LabelRecord, StoredLabel, frame
from spectralearth_build.store.manifest import Entry
from spectralearth_build.store.planned import Planned
from spectralearth_build.store.schema import metadata_bytes
from spectralearth_build.store.shard import ShardReader
from spectralearth_build.tables import LABELS


def check_labels(
    dataset: Path,
    planned: Planned,
    affected: Affected,
    labels: Collection[StoredLabel],
    files: Mapping[str, Entry],
    changed: Collection[str],
    runner: Executor,
) -> Iterator[Damage]:
    """Yield all damage of labels, except for what the hashes of small files show.

    Args:
        dataset: the dataset.
        planned: the plan.
        affected: names of patches by shard.
        labels: all readable commit records of labels.
        files: the files of the manifest.
        changed: files known to be damaged.
        runner: executor of the shard checks.
    """
    records = {record.shard_name: (each, record) for each in labels for record in each.records.values()}
    tasks = {
        name: (
            dataset,
            record,
            each.definition.dtype,
            planned.shard_rows,
            _named(record, affected.names(record.shard)),
        )
        for name, (each, record) in records.items()
        if (dataset / name).is_file()
    }
    for key, outcome in track(runner.run("verify", check_label_shard, tasks), "verify labels", len(tasks)):
        if isinstance(outcome, Failure):
            yield of_failure(key, outcome)
        else:
            yield from outcome
    for name, (_, record) in records.items():
        if files.get(name) != {"bytes": record.size, "sha256": record.sha256}:
            yield Damage("CountsWrong", record.name, f"The record and the manifest differ on {name}.")
    for name in (name for name in files if is_label_shard(name) and name not in records):
        if (dataset / name).is_file() and hash_of(dataset / name) != files[name]["sha256"]:
            yield Damage("FileChanged", name, "There is no readable commit record either.")
    if not any(name == LABELS.file or label_of(name) for name in changed):
        yield from _agreement(dataset, planned, labels)


def check_label_shard(
    dataset: Path, record: LabelRecord, dtype: str, rows: int, patches: Mapping[int, str]
) -> list[Damage]:
    """Hash a label shard and decode every map in it.

    Args:
        dataset: the dataset.
        record: commit record of the shard.
        dtype: data type of pixels.
        rows: number of rows per shard.
        patches: names of the patches with a map in it, by store row.
    """
    try:
        return _check(dataset, record, dtype, rows, patches)
    except (DamagedError, OSError) as error:
        return [finding("ShardDamaged", record.shard_name, error, patches=tuple(patches.values()))]


def _check(
    dataset: Path, record: LabelRecord, dtype: str, rows: int, patches: Mapping[int, str]
) -> list[Damage]:
    name, first = record.shard_name, record.shard * rows
    everything = tuple(patches.values())
    reader = ShardReader(dataset / name, rows)
    checksums = {patch.row: patch.checksum for patch in record.patches if patch.checksum is not None}
    found = []
    if [first + row for row in reader.rows()] != record.written:
        found.append(
            Damage(
                "ShardDamaged", name, "The shard contains other rows than its commit record says.", everything
            )
        )
    for row in reader.rows():
        named = (patches[first + row],) if first + row in patches else ()
        try:
            values = read_label(reader, row, dtype)
            if values is not None and checksum_of(values) != checksums.get(first + row, checksum_of(values)):
                raise DamagedError("The data do not decode to the map that was written.")
        except DamagedError as error:
            found.append(Damage("ChunkDamaged", name, f"Row {first + row}: {error.what}", named))
    if hash_of(dataset / name) != record.sha256:
        # The file is valid in itself but differs from the one that was written, so it is another file.
        hit = () if found else everything
        found.append(Damage("FileChanged", name, "The SHA-256 differs from that of the commit record.", hit))
    return found


def _named(record: LabelRecord, names: Mapping[int, str]) -> dict[int, str]:
    return {row: names[row] for row in record.written if row in names}


def _agreement(dataset: Path, planned: Planned, labels: Collection[StoredLabel]) -> Iterator[Damage]:
    """Check table and metadata against the commit records."""
    for definition in (each.definition for each in labels):
        expected = label_document(definition, planned.shards, planned.shard_rows)
        name = array_metadata(definition.array)
        path = dataset / name
        if path.is_file() and path.read_bytes() != metadata_bytes(expected):
            yield Damage("StoreWrong", name, "The metadata differs from the label definition.")
    if labels and (dataset / LABELS.file).is_file():
        found = LABELS.arrow(LABELS.read(dataset))
        if not found.equals(LABELS.arrow(frame(labels, planned.patches))):
            yield Damage(
                "LabelsWrong", LABELS.file, "The table differs from the commit records of the labels."
            )
