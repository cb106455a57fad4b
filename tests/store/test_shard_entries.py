"""Entries of shards and records, against a plain dictionary."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from spectralearth_build.layout import commit_name, shard_name
from spectralearth_build.store.manifest import entry
from spectralearth_build.store.shard_entries import ShardEntries

HASHES = st.one_of(
    st.binary(max_size=3).map(lambda data: hashlib.sha256(data).hexdigest()),
    st.text(max_size=3),
    st.just("AB" * 32),
    st.just("ab" * 31),
)
SIZES = st.one_of(st.integers(0, 3), st.sampled_from([-1, 2**63 - 1, 2**63, 10**30]))
SHARDS = st.integers(-2, 12) | st.sampled_from([10**8, 10**9])


@given(st.lists(st.tuples(SHARDS, SIZES, HASHES, st.binary(max_size=3))))
def test_a_dictionary_would_hold_the_same(added):
    found, expected = ShardEntries(), {}
    for shard, size, sha256, record in added:
        found.add(shard, size, sha256, record)
        expected[commit_name(shard)] = entry(record)
        expected[shard_name(shard)] = {"bytes": size, "sha256": sha256}
    assert dict(found) == expected
    assert list(found) == list(expected)
    assert len(found) == len(expected)


def test_other_names_have_no_entry():
    found = ShardEntries()
    found.add(7, 1, hashlib.sha256(b"").hexdigest(), b"")
    others = ("manifest.json", shard_name(8), commit_name(7).replace("shard-0", "shard-"), "")
    assert not any(name in found for name in others)
    assert shard_name(7) in found
