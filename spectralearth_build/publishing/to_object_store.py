"""Datasets on object stores: the rules for their names, and how a run begins and ends."""

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
from spectralearth_build.storage.lease_object import leased
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
    """Yield a folder that mirrors a dataset on an object store and is attached to it.

    Args:
        remote: location of the dataset.
        staging: local folder of mirrors, which may be deleted between runs.
        write: whether to hold the lock and repeat writes to the folder on the store. Otherwise, everything but shards
            is fetched again, because readers need the current state.

    Raises:
        UsageError: Another run is at work there, or the prefix contains something other than a dataset.
        StorageError: The store refuses access, does not respond, or does not support conditional writes.
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
    """Delete unfinished files of an earlier run. On a disk they would be replaced, but here they would block writing.

    These are records that are unreadable or have no shard, and pending tables without their list.
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
    """Return the id of this machine for a dataset, by which it recognises its own locks."""
    path = base / _OWNER
    if not path.is_file():
        path.write_text(secrets.token_hex(8), encoding="ascii")
    return path.read_text(encoding="ascii")


def _refuse_others(names: Collection[str], remote: Remote) -> None:
    known = (TILES.file, PLAN, MANIFEST, f"{WORK}/")
    if names and not any(name.startswith(known) for name in names):
        raise UsageError(
            f"The prefix contains {len(names)} objects, such as {min(names)!a}, but no dataset.",
            str(remote),
            "Give the dataset its own prefix.",
        )
