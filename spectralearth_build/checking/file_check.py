"""Check the files of a dataset against its manifest. Without a manifest, check shards against commit records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from spectralearth_build.checking.damage import Damage
from spectralearth_build.checking.findings import examined
from spectralearth_build.files import PARTIAL
from spectralearth_build.journal import newest
from spectralearth_build.layout import (
    MANIFEST,
    PLAN,
    REPORT,
    commit_files,
    commit_name,
    in_work,
    is_label_shard,
    is_shard,
    label_of,
    shard_name,
    shard_path,
)
from spectralearth_build.plan_document import PlanDocument
from spectralearth_build.store.commit import decode
from spectralearth_build.store.labels import MEND
from spectralearth_build.store.manifest import Entry, entry_of_file
from spectralearth_build.store.seal import is_sealed, is_sealed_page
from spectralearth_build.tables import SPLITS

UNHASHED = (MANIFEST, REPORT, SPLITS.file)
"""Files that a dataset may have although its manifest does not list them."""

Files = Mapping[str, Entry]


def check_files(dataset: Path, files: Files) -> Iterator[Damage]:
    """Yield missing, changed and unknown files. For shards, only the size is compared: `check_shard` hashes them."""
    if not is_sealed((dataset / MANIFEST).read_bytes()):
        yield Damage("FileChanged", MANIFEST, "It has changed since it was written.")
    for name, expected in files.items():
        yield from examined("FileChanged", name, partial(_file, dataset, name, expected))
    allowed = {*files, *UNHASHED, *_unpublished(dataset)}
    for path in sorted(dataset.rglob("*")):
        name = path.relative_to(dataset).as_posix()
        passing = in_work(name) or path.suffix == PARTIAL
        if path.is_file() and name not in allowed and not passing:
            stopped = f" If `pair` was stopped: {MEND}" if label_of(name) else ""
            yield Damage("FileUnknown", name, f"The manifest does not list it.{stopped}")
    yield from examined("FileChanged", REPORT, partial(_report, dataset))


def _file(dataset: Path, name: str, expected: Entry) -> Iterator[Damage]:
    path = dataset / name
    if not path.is_file():
        yield Damage("FileMissing", name, "The manifest lists it, but it is missing.")
    elif path.stat().st_size != expected["bytes"]:
        size = path.stat().st_size
        yield Damage("FileChanged", name, f"It has {size} bytes; the manifest says {expected['bytes']}.")
    elif not is_shard(name) and not is_label_shard(name) and entry_of_file(path) != expected:
        yield Damage("FileChanged", name, "Its SHA-256 differs from that of the manifest.")


def _report(dataset: Path) -> Iterator[Damage]:
    if (dataset / REPORT).is_file() and not is_sealed_page((dataset / REPORT).read_bytes()):
        yield Damage("FileChanged", REPORT, "It has changed since it was written.")


def _unpublished(dataset: Path) -> Iterator[str]:
    """Yield files that cut may have written but not published. Readers ignore them; the next cut uses them."""
    plan = PlanDocument.readable(newest(dataset, PLAN))
    yield from (
        name
        for shard in range(plan.shards if plan else 0)
        for name in (shard_name(shard), commit_name(shard))
    )


def without_manifest(dataset: Path) -> Iterator[Damage]:
    """Yield the damage that commit records show without a manifest."""
    for path in commit_files(dataset):
        name = path.relative_to(dataset).as_posix()
        yield from examined("FileChanged", name, partial(_by_itself, dataset, path))


def _by_itself(dataset: Path, record: Path) -> Iterator[Damage]:
    commit = decode(record.read_bytes())
    shard = shard_path(dataset, commit.shard)
    if not shard.is_file() or entry_of_file(shard)["sha256"] != commit.sha256:
        yield Damage(
            "FileChanged",
            shard_name(commit.shard),
            "It is missing or differs from its commit record.",
        )
