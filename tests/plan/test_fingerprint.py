"""The name of a plan: what enters it, and what does not."""

from __future__ import annotations

import pyarrow as pa

from spectralearth_build.plan.fingerprint import QUANTITY, identity, in_form_of
from spectralearth_build.plan_document import Inputs

PATCHES = pa.table({"patch_id": ["a"], "store_row": [0], "sources": [["t"]]})


def named(settings):
    return identity("", {"settings": settings, "tiles": {}}, [PATCHES])


def test_what_earlier_versions_took_for_granted_does_not_change_the_name():
    assert named({"x": 1, QUANTITY: "land"}) == named({"x": 1})
    assert len({named({"x": 1}), named({"x": 2}), named({"x": 1, QUANTITY: "water"})}) == 3


def test_a_record_without_samples_of_images_counts_as_the_same_only_if_the_rest_is():
    old, digits = "a" * 64, "0123456789abcdef"
    before = Inputs(settings={}, tiles={"t": ["p", old], "u": ["p", old + digits], "v": ["p", "short"]})
    same = Inputs(settings={"x": 1}, tiles={"t": ["p", old + digits], "n": ["p", old + digits]})
    assert in_form_of(before, same) == Inputs(
        settings={"x": 1}, tiles={"t": ["p", old], "n": ["p", old + digits]}
    )
    for entry in (["q", old + digits], ["p", "b" + old[1:] + digits]):
        assert in_form_of(before, Inputs(settings={}, tiles={"t": entry}))["tiles"] == {"t": entry}
    for name, entry in (("u", ["p", old + digits[::-1]]), ("v", ["p", "shorter"])):
        assert in_form_of(before, Inputs(settings={}, tiles={name: entry}))["tiles"] == {name: entry}
