"""What must hold at every moment, whatever has just crashed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from spectralearth_build.layout import COMMITS, MANIFEST, ROOT, label_of, shard_name
from spectralearth_build.store.commit import decode
from spectralearth_build.store.labels import decode_record
from tests.support.recorded_disk import State, passing


def violations(state: State, content: Mapping[str, bytes]) -> Iterator[str]:
    """Everything wrong with what a crash left.

    Args:
        state: what it left.
        content: what its hashes stand for.
    """
    for path in sorted(state.torn):
        if not passing(path):
            yield f"{path} bears its name and is not whole"
    for path in state.files:
        if path.startswith(f"{COMMITS}/") and path.endswith(".json") and path not in state.torn:
            yield from _record(path, state, content)
    if ROOT in state.files:
        yield from _published(state, content)


def _record(path: str, state: State, content: Mapping[str, bytes]) -> Iterator[str]:
    """A record proves that its shard is there, of pixels or of labels."""
    data = content[state.files[path]]
    if label_of(path):
        label = decode_record(data)
        name, expected = label.shard_name, label.sha256
    else:
        commit = decode(data)
        name, expected = shard_name(commit.shard), commit.sha256
    if state.files.get(name) != expected:
        yield f"{path} vouches for a shard that is not there"


def _published(state: State, content: Mapping[str, bytes]) -> Iterator[str]:
    """Whoever can open a dataset finds all of it."""
    if MANIFEST not in state.files or MANIFEST in state.torn:
        yield "it can be opened and has no whole manifest"
        return
    listed = json.loads(content[state.files[MANIFEST]])["files"]
    for name, entry in listed.items():
        if state.files.get(name) != entry["sha256"]:
            yield f"it can be opened and {name} is not as its manifest says"
