"""Hostile names: of products, of files and of folders."""

from pathlib import Path

import pytest
from hypothesis import strategies as st

from spectralearth_build.archive.names import layer_of, parse_name
from spectralearth_build.archive.product import hostile
from spectralearth_build.errors import printable
from tests.support import fuzz_targets as targets
from tests.support.watched import Watched, attack

NAME = targets.SPEC.product_id
PIECES = st.sampled_from(
    [NAME, NAME.replace("_2024", "_9999"), NAME.replace("_2024", "_0001"),
     NAME.lower(), NAME[:30], NAME[30:], "ENMAP01-____L2A-DT", "-METADATA.XML", "-SPECTRAL_IMAGE.TIF",
     "-QL_QUALITY_CLOUD.TIF", "_COG", ".zip", ".tar.gz", ".tgz", ".tar", "..", ".", "/", "\\", "!", "<b>", "\n", "\t",
     "\0", "\x1b[31m", "\u202e", "\u0661", "\udcff", "99999999T999999Z", "0" * 40, " ", "%2e%2e%2f", "é", "e\u0301"]
)  # fmt: skip
TEXT = st.lists(PIECES | st.text(max_size=5), max_size=6).map("".join)


def test_fuzz_product_names(fuzz_trials):
    """3,000 in CI: a name or none, and of a name all parts, whatever the text."""

    def read(text):
        name = parse_name(text)
        layer_of(text)
        hostile(text)
        assert printable(text).isprintable()
        if name is not None:
            assert name.product_id in text.upper()
            assert parse_name(name.product_id) == name
            assert not hostile(name.product_id)
            assert parse_name(name.file("METADATA")).tile_id == name.tile_id

    print(f"{attack(TEXT, read, fuzz_trials or 3000, bool(fuzz_trials))} texts as names")


def test_names_take_time_in_proportion_to_their_length():
    """No text makes the patterns go back and forth: a megabyte of beginnings is read in a moment."""
    for piece in (
        "ENMAP01-_____",
        "ENMAP01-____L2A-DT",
        "QL_QUALITY_",
        "-METADATA.XML",
        "-SPECTRAL_IMAGE_VNIR",
    ):
        text = piece * (2**20 // len(piece))
        assert parse_name(text) is None
        layer_of(text + "x")


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    process = Watched(targets.read_tree, tmp_path_factory.mktemp("trees") / "inside")
    yield process
    process.close()


def test_fuzz_folders_of_odd_names(fuzz_trials, watched, baits):
    """60 in CI: folders, files and links of odd names are found, or refused, and nothing else is touched."""
    parts = st.lists(TEXT.map(_part), min_size=1, max_size=3)
    links = st.sampled_from([baits.pipe, baits.folder, Path("/"), Path(".."), Path(), Path("/proc/self/mem")])
    content = st.none() | st.binary(max_size=20) | links
    cases = st.lists(st.tuples(parts, content), min_size=1, max_size=8)
    print(f"{attack(cases, watched.read, fuzz_trials or 60, bool(fuzz_trials))} folders:", watched.summary())


def _part(text: str) -> bytes:
    """A part of a path that stays below its folder; separators are left in, which makes deeper ones."""
    part = text.replace("..", "._").lstrip("/").encode("utf-8", "surrogatepass")
    return part[:200] or b"x"
