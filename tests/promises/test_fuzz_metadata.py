"""Hostile METADATA.XML: sound ones with changes, and anything else."""

import random
from xml.etree import ElementTree

import pytest
from hypothesis import strategies as st

from tests.support import fuzz_targets as targets
from tests.support.watched import Watched, attack

NUMBERS = [
    "NaN", "inf", "-inf", "1e308", "1e309", "-1e308", "1e30", "9" * 5000, "0x10", "1_000", "١٢٣", "-1", "0", "",
    "4294967296", "9223372036854775808", "-9223372036854775809", "1e-400", "2147483648", "1.5", "  16 ", "nan(5)",
]  # fmt: skip
TEXTS = [
    "UTM_Zone00_North", "UTM_Zone٣_North", "UTM_Zone61_South", "LAEA-ETRS89", "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59.999999-14:00", "2022-02-30", "0001-01-02", "9999-12-30",
    "1600-01-01", "0000-00-00", "2022-06-01", "2022-06-01T00:00:00.123456789Z",
    "<b>", "\u202e\n", "DT-5", "DT" + "1" * 30, "L2A", "L1B", "1,2,3", "1,1", "," * 5000, "0", "\ud7ff", "\U0010ffff",
]  # fmt: skip


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("metadata") / "inside"
    product = targets.sound_product(folder / "sound" / "strips")
    return folder, next(product.glob("*METADATA.XML")).read_bytes()


@pytest.fixture(scope="module")
def watched(sound):
    process = Watched(targets.read_changed_file, sound[0])
    yield process
    process.close()


def test_fuzz_elements(fuzz_trials, watched, sound):
    """150 in CI: elements lost, doubled, moved, renamed, and with other numbers and texts."""
    kinds = st.lists(
        st.sampled_from(["text"] * 6 + ["lose", "double", "number", "rename", "nest"]), min_size=1, max_size=4
    )
    cases = st.tuples(kinds, st.integers(0, 2**32))
    tried = attack(
        cases,
        lambda case: watched.read(("strips", "METADATA", _changed(sound[1], *case))),
        fuzz_trials or 150,
        bool(fuzz_trials),
    )
    print(f"{tried} metadata with other elements:", watched.summary())


def test_fuzz_bytes(fuzz_trials, watched, sound, baits):
    """100 in CI: bytes changed, cut, put in; other encodings; what names files and servers; anything."""
    size = len(sound[1])
    pieces = st.sampled_from(_hostile(baits)) | st.binary(min_size=1, max_size=6)
    edits = st.lists(st.tuples(st.integers(0, size) | st.integers(0, 200), pieces), max_size=4)
    changed = st.builds(
        targets.edited, st.just(sound[1]), edits, st.sampled_from([1.0, 1.0, 0.999, 0.5, 0.01])
    )
    inserted = st.builds(_inserted, st.just(sound[1]), st.integers(0, size) | st.integers(0, 200), pieces)
    recoded = st.sampled_from(["utf-16", "utf-32", "latin-1", "utf-7", "cp037", "punycode", "hz"]).map(
        lambda name: sound[1].replace(b"UTF-8", name.encode(), 1).decode().encode(name, "replace")
    )
    anything = st.binary(min_size=1, max_size=200) | st.sampled_from(_hostile(baits))
    cases = changed | inserted | recoded | anything
    tried = attack(
        cases.filter(len),
        lambda data: watched.read(("strips", "METADATA", data)),
        fuzz_trials or 100,
        bool(fuzz_trials),
    )
    print(f"{tried} metadata with other bytes:", watched.summary())


def _changed(data: bytes, kinds: list[str], seed: int) -> bytes:
    chance = random.Random(seed)
    root = ElementTree.fromstring(data)
    bands = root.find("specific/bandCharacterisation")
    for kind in kinds:
        every = list(root.iter())
        if chance.random() < 0.7:  # else most are those of bands
            of_bands = set(bands.iter())
            every = [element for element in every if element not in of_bands]
        element = chance.choice(every)
        if kind == "text":
            element.text = chance.choice(NUMBERS + TEXTS)
        elif kind == "number":
            chance.choice(list(bands)).set("number", chance.choice([*NUMBERS, "1", "300"])) if len(
                bands
            ) else None
        elif kind == "rename":
            element.tag = chance.choice(["level_X", "point", "bandID", "a" * 100, "base"])
        elif kind == "lose":
            for child in list(element)[: chance.choice([1, 1, 3, 1000])]:
                element.remove(child)
        elif kind == "double":
            element.extend(list(element)[: chance.choice([1, 3, 1000])])
        elif chance.random() < 0.5 or element is root:
            element.append(ElementTree.Element("level_X"))
        else:
            chance.choice(every).append(ElementTree.fromstring(ElementTree.tostring(element)))
        if len(ElementTree.tostring(root)) > 2**22:
            break
    return ElementTree.tostring(root, encoding="UTF-8", xml_declaration=True)


def _inserted(data: bytes, place: int, piece: bytes) -> bytes:
    return data[:place] + piece + data[place:]


def _hostile(baits) -> list[bytes]:
    pipe, url = str(baits.pipe).encode(), baits.url.encode()
    return [
        b'<!DOCTYPE level_X [<!ENTITY a SYSTEM "file://' + pipe + b'">]><level_X>&a;</level_X>',
        b'<!DOCTYPE level_X SYSTEM "' + url + b'"><level_X/>',
        b'<!DOCTYPE level_X [<!ENTITY % a SYSTEM "' + url + b'">%a;]><level_X/>',
        b'<?xml-stylesheet href="' + url + b'"?><level_X/>',
        b'<level_X><i xmlns:x="http://www.w3.org/2001/XInclude"><x:include href="' + pipe + b'"/></i></level_X>',
        b"<level_X>" + b"<a>" * 5000,
        b"<level_X " + b" ".join(b'a%d="1"' % i for i in range(5000)) + b"/>",
        b"<![CDATA[", b"]]>", b"<!--", b"\0", b"\xef\xbb\xbf", b"\xff\xfe", b"&#0;", b"&#x110000;", b"&lt", b"<", b"</",
    ]  # fmt: skip
