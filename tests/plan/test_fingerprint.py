"""The name of a plan: what enters it, and what does not."""

from __future__ import annotations

import pyarrow as pa

from spectralearth_build.plan.fingerprint import QUANTITY, identity

PATCHES = pa.table({"patch_id": ["a"], "store_row": [0], "sources": [["t"]]})


def named(settings):
    return identity("", {"settings": settings, "tiles": {}}, [PATCHES])


def test_what_earlier_versions_took_for_granted_does_not_change_the_name():
    assert named({"x": 1, QUANTITY: "land"}) == named({"x": 1})
    assert len({named({"x": 1}), named({"x": 2}), named({"x": 1, QUANTITY: "water"})}) == 3
