from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectralearth_build.errors import UsageError
from spectralearth_build.split.check import leaks
from spectralearth_build.split.links import BUFFER, DATATAKE, LOCATION, TILE, Links
from spectralearth_build.split.lists import import_list, parts_of, read_lists

PARTS = ("train", "val", "test")
PRODUCT = "ENMAP01-____L2A-DT{:010d}_20220627T104548Z_{:03d}_V010303_20230922T131734Z"
STYLES = {
    "ours": "DT{:010d}_{:03d}",
    "product": PRODUCT,
    "patch of a product": PRODUCT + "-Y01460273_X03110438",
    "datatake, time and tile": "DT{:010d}_20220627T104548Z_{:03d}",
}
PATCHES = st.tuples(st.integers(0, 30), st.integers(1, 9), st.integers(1, 4))
"""Location, datatake, tile."""


def write(folder, lists, style, place="place_{:04d}"):
    files = {}
    for part, patches in lists.items():
        lines = [f"{place.format(p)}/{STYLES[style].format(d, t)}.tif\n" for p, d, t in patches]
        files[part] = folder / f"{part}.txt"
        files[part].write_text("".join(lines))
    return files


def expected(lists):
    """Leaking lines by part and kind, pair by pair."""
    rows = [(part, k, *patch) for part, patches in lists.items() for k, patch in enumerate(patches)]
    found = {kind: set() for kind in (LOCATION, TILE, DATATAKE)}
    for a, b in combinations(rows, 2):
        if a[0] != b[0]:
            same = {LOCATION: a[2] == b[2], TILE: a[3:] == b[3:], DATATAKE: a[3] == b[3]}
            for kind, is_same in same.items():
                found[kind] |= {a[:2], b[:2]} if is_same else set()
    return {kind: [sum(row[0] == part for row in rows) for part in PARTS] for kind, rows in found.items()}


@settings(deadline=None, max_examples=60)
@given(st.tuples(*3 * [st.lists(PATCHES, min_size=1, max_size=6)]), st.sampled_from(sorted(STYLES)))
def test_leaks_between_lists_are_those_of_a_brute_force_count(tmp_path_factory, drawn, style):
    lists = dict(zip(PARTS, drawn, strict=True))
    named = read_lists(write(tmp_path_factory.mktemp("lists"), lists, style), 5)
    found = leaks(named.ties, named.part, named.parts)
    assert found.kinds == (LOCATION, TILE, DATATAKE, "any")
    assert {kind: found.counts[:, k].tolist() for k, kind in enumerate(found.kinds[:3])} == expected(lists)
    assert named.unread == 0


@settings(deadline=None, max_examples=60)
@given(st.data(), st.sampled_from([LOCATION, TILE, DATATAKE]), st.sampled_from(sorted(STYLES)))
def test_a_leak_planted_in_clean_lists_is_found(tmp_path_factory, data, kind, style):
    # Clean: locations and datatakes of a part are those with its remainder.
    draw = st.tuples(st.integers(0, 9), st.integers(0, 3), st.integers(1, 4))
    lists = {
        part: [(3 * p + k, 3 * d + k + 1, t) for p, d, t in data.draw(st.lists(draw, min_size=1, max_size=8))]
        for k, part in enumerate(PARTS)
    }
    folder = tmp_path_factory.mktemp("lists")
    clean = read_lists(write(folder, lists, style), 5)
    assert not leaks(clean.ties, clean.part, clean.parts)
    source = data.draw(st.sampled_from(lists["train"]))
    place, take, tile = 1000, 1001, 9
    planted = {
        LOCATION: (source[0], take, tile),
        TILE: (place, *source[1:]),
        DATATAKE: (place, source[1], tile),
    }[kind]
    where = data.draw(st.sampled_from(["val", "test"]))
    lists[where] = [*lists[where], planted]
    named = read_lists(write(folder, lists, style), 5)
    found = leaks(named.ties, named.part, named.parts)
    assert found.share(where, kind) == 1 / len(lists[where])
    assert found.share("train", kind) > 0


def test_names_of_windows_tell_their_ground(tmp_path):
    lists = {"train": [(20000, 1, 1)], "test": [(20128 + 166, 2, 1)]}  # 166 pixels between them: 4.98 km
    files = write(tmp_path, lists, "ours", place="32632_{}_174000")
    for buffer_km, leak in ((5, 1), (4.9, 0)):
        named = read_lists(files, buffer_km)
        assert leaks(named.ties, named.part, named.parts).share("test", BUFFER) == leak


def test_names_that_tell_nothing_count_as_tiles(tmp_path):
    files = {part: tmp_path / part for part in ("train", "test")}
    files["train"].write_text("# ours\n\nenmap/a/one.tif\nb/two.TIFF\n")
    files["test"].write_text("c/one.tif\nd/three.tif\n")
    named = read_lists(files, 5)
    found = leaks(named.ties, named.part, named.parts)
    assert (named.unread, found.kinds) == (4, (LOCATION, TILE, "any"))
    assert (found.share("test", TILE), found.share("test", LOCATION)) == (0.5, 0)


@pytest.mark.parametrize(
    ("text", "message"), [("", "no patches"), ("just_one_name.tif\n", "Line 1 is 'just_one_name.tif'")]
)
def test_what_is_no_list_is_refused(tmp_path, text, message):
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(UsageError, match=message):
        read_lists({"train": tmp_path / "a.txt"}, 5)
    with pytest.raises(UsageError, match="cannot be read"):
        read_lists({"train": tmp_path / "b.txt"}, 5)


def test_a_table_is_taken_over_patch_by_patch(tmp_path):
    patches = pd.DataFrame({"patch_id": ["a_1", "a_2", "b_1"], "location_id": ["a", "a", "b"]})
    links = Links(patches, np.empty((3, 2)), {})
    (tmp_path / "s.csv").write_text("# made elsewhere\npatch_id,split\nb_1,test\na_1,train\nz_9,train\n")
    found, strange = import_list(tmp_path / "s.csv", links)
    assert found["split"].tolist() == ["train", "", "test"]
    assert found["reason"].tolist() == ["", "Not in s.csv.", ""]
    assert strange == 1
    for text, message in (
        ("patch_id,part\na_1,x\n", "must have the columns"),
        ("patch_id,split\na_1,x\na_1,y\n", "a_1 occurs twice"),
        ("patch_id,split\nq,x\n", "names no patch"),
    ):
        (tmp_path / "s.csv").write_text(text)
        with pytest.raises(UsageError, match=message):
            import_list(tmp_path / "s.csv", links)


def test_parts_have_their_usual_order():
    assert parts_of(pd.Series(["test", "b", "", "train", "a"])) == ["train", "test", "a", "b"]
    assert np.array_equal(parts_of(pd.Series(["val"])), ["val"])
