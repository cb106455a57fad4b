"""What a dataset is on an object store: how its names are treated, and how a run begins and ends there."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath

from spectralearth_build.errors import UsageError
from spectralearth_build.files import remove
from spectralearth_build.layout import (
    CHUNK_PREFIX,
    COMMITS,
    LABEL_PREFIX,
    LOCK,
    MANIFEST,
    PENDING,
    PENDING_LIST,
    PLAN,
    PROBE,
    REFLECTANCE,
    ROOT,
    SCRATCH,
    STORE,
    WORK,
    label_of,
)
from spectralearth_build.lock import alone
from spectralearth_build.storage.attach import attached
from spectralearth_build.storage.lease import leased
from spectralearth_build.storage.mirror import Mirror, Rules, write_session
from spectralearth_build.storage.url import Remote
from spectralearth_build.store.commit import decode
from spectralearth_build.store.labels import decode_record
from spectralearth_build.tables import TILES

RULES = Rules(
    bulk=(f"{STORE}/{REFLECTANCE}/{CHUNK_PREFIX}*", f"{STORE}/{LABEL_PREFIX}*/{CHUNK_PREFIX}*"),
    once=(f"{COMMITS}/", ROOT),
    own=(LOCK, PROBE, f"{SCRATCH}/"),
)
_OWNER = "owner"


@contextmanager
def mirrored(remote: Remote, staging: Path, write: bool = True) -> Iterator[Path]:
    """Yield the folder that mirrors a dataset of an object store, and is attached to it.

    Args:
        remote: the dataset.
        staging: where mirrors lie on this machine; they may be deleted between runs.
        write: hold the lock, and write to the store what is written to the folder. Otherwise everything but shards
            is fetched anew, since whoever only reads wants to know what is there.

    Raises:
        UsageError: another run is at work there, or there are other things than a dataset.
        StorageError: the store refuses, does not answer, or does not honour conditions.
    """
    base = staging / remote.key
    folder = base / (PurePosixPath(remote.prefix).name or remote.bucket)
    with ExitStack() as stack:
        stack.enter_context(alone(base))
        run = secrets.token_hex(8)
        mine = _owner(base)
        token = f"{mine}-{run}"
        mirror = Mirror(folder, remote, RULES, token)
        if write:
            stack.enter_context(leased(mirror.client, token, mine))
        write_session(folder, token)
        stack.enter_context(attached(mirror))
        listing = mirror.pull(trust=write)
        _refuse_others({meta.name for meta in listing}, remote)
        if write:
            tidy(folder)
        yield folder


def tidy(dataset: Path) -> None:
    """Delete what an earlier run left half-done: on a disk it would be replaced, here it would be in the way.

    Those are records that cannot be read or have no shard, and pending tables without their list.
    """
    for path in sorted((dataset / COMMITS).glob("*")):
        try:
            record = (decode_record if label_of(f"{COMMITS}/{path.name}") else decode)(path.read_bytes())
            whole = record.holds(dataset)
        except ValueError:
            whole = False
        if not whole:
            remove(path)
    if not (dataset / PENDING_LIST).is_file():
        for path in sorted((dataset / PENDING).glob("*")):
            remove(path)


def _owner(base: Path) -> str:
    """A name for this machine's part in a dataset, by which it knows its own locks again."""
    path = base / _OWNER
    if not path.is_file():
        path.write_text(secrets.token_hex(8), encoding="ascii")
    return path.read_text(encoding="ascii")


def _refuse_others(names: Collection[str], remote: Remote) -> None:
    known = (TILES.file, PLAN, MANIFEST, f"{WORK}/")
    if names and not any(name.startswith(known) for name in names):
        raise UsageError(
            f"There are {len(names)} objects and no dataset, {min(names)!a} among them.",
            str(remote),
            "Choose a prefix of its own for the dataset.",
        )
