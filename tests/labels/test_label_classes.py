"""Nomenclatures: what comes with the package, and what users write."""

import numpy as np
import pytest

from spectralearth_build.errors import UsageError
from spectralearth_build.labels.classes import IGNORE, NOMENCLATURES, nomenclature


@pytest.mark.parametrize(
    ("name", "classes"), [("corine44", 44), ("corine19", 19), ("cdl", 130), ("cdl14", 14), ("nlcd", 15)]
)
def test_number_of_classes(name, classes):
    found = nomenclature(name)
    assert [label.index for label in found.classes] == list(range(classes))
    assert len({label.name for label in found.classes}) == classes
    assert found.title
    assert found.source


def test_all_have_been_counted():
    assert NOMENCLATURES == ("corine44", "corine19", "cdl", "cdl14", "nlcd")


@pytest.mark.parametrize("name", ["corine44", "corine19"])
def test_corine_is_read_by_raster_code_and_by_level_3(name):
    found = nomenclature(name)
    level3 = [code for label in nomenclature("corine44").classes for code in label.codes if code > 99]
    by_number, by_level = found.indices(np.arange(1, 45)), found.indices(np.array(level3))
    np.testing.assert_array_equal(by_number, by_level)
    assert level3 == sorted(level3)


def test_corine44_is_the_legend():
    classes = nomenclature("corine44").classes
    assert (classes[11].name, classes[11].codes) == ("Non-irrigated arable land", (12, 211))
    assert (classes[43].name, classes[43].codes, classes[43].colour) == (
        "Sea and ocean",
        (44, 523),
        "#e6f2ff",
    )


def test_corine19_gathers_as_bigearthnet_does():
    """From the 43 classes of BigEarthNet's first version (by level-3 code) to its 19."""
    gathered = {
        0: (111, 112), 1: (121,), 2: (211, 212, 213), 3: (221, 222, 223, 241), 4: (231,), 5: (242,), 6: (243,),
        7: (244,), 8: (311,), 9: (312,), 10: (313,), 11: (321, 333), 12: (322, 323), 13: (324,), 14: (331,),
        15: (411, 412), 16: (421, 422), 17: (511, 512), 18: (521, 522, 523),
    }  # fmt: skip
    truth = {code: index for index, codes in gathered.items() for code in codes}
    level3 = np.array(
        [code for label in nomenclature("corine44").classes for code in label.codes if code > 99]
    )
    found = nomenclature("corine19").indices(level3)
    assert found.tolist() == [truth.get(code, IGNORE) for code in level3.tolist()]
    assert (found == IGNORE).sum() == 12


def test_the_benchmarks_codes():
    codes = {
        name: [c for label in nomenclature(name).classes for c in label.codes] for name in ("cdl14", "nlcd")
    }
    assert codes["cdl14"] == [1, 2, 3, 4, 5, 6, 45, 54, 69, 72, 75, 76, 204, 210]
    assert codes["nlcd"] == [11, 21, 22, 23, 24, 31, 41, 42, 43, 52, 71, 81, 82, 90, 95]


def test_cdl14_is_called_and_coloured_as_in_full():
    full = {label.codes: (label.name, label.colour) for label in nomenclature("cdl").classes}
    assert all(full[label.codes] == (label.name, label.colour) for label in nomenclature("cdl14").classes)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.uint16, np.int32, np.int64])
def test_indices_of_any_codes(dtype):
    table = nomenclature("nlcd")
    codes = np.array([[11, 95, 12], [0, np.iinfo(dtype).min, np.iinfo(dtype).max]], dtype)
    np.testing.assert_array_equal(table.indices(codes), [[0, 14, IGNORE], [IGNORE] * 3])
    assert table.indices(codes).dtype == np.uint8
    with pytest.raises(TypeError, match="float"):
        table.indices(codes.astype(float))


def test_lookup_is_for_take():
    table = nomenclature("cdl")
    lookup = table.lookup()
    assert lookup.dtype == np.uint8
    assert lookup.shape == (255,)
    for label in table.classes:
        assert (lookup.take(label.codes) == label.index).all()
    assert lookup[0] == lookup[81] == IGNORE
    assert (lookup != IGNORE).sum() == sum(len(label.codes) for label in table.classes)


def test_a_users_own(tmp_path):
    path = tmp_path / "forest.csv"
    path.write_text(
        '# title: Forest types\n# source: me\n\ncodes,name,colour\n3 7,"Oak, beech",#00FF10\n1,Pine,#004000\n'
    )
    found = nomenclature(str(path))
    assert (found.name, found.title, found.source) == ("forest", "Forest types", "me")
    assert found.classes[0].name == "Oak, beech"
    assert found.classes[0].colour == "#00ff10"
    assert found.indices(np.array([1, 2, 3, 7])).tolist() == [1, IGNORE, 0, 0]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "columns are None"),
        ("code,name,colour\n1,a,#000000\n", "columns are"),
        ("codes,name,colour\n", "0 classes"),
        ("codes,name,colour\n" + "".join(f"{i},c{i},#000000\n" for i in range(256)), "256 classes"),
        ("codes,name,colour\n1,a,#000000\n1 2,b,#000000\n", "code 1 occurs twice"),
        ("codes,name,colour\n1,,#000000\n", "class 0 has no name"),
        ("codes,name,colour\n1,a,red\n", "colour of a is 'red'"),
        ("codes,name,colour\n-1,a,#000000\n", "codes of a are '-1'"),
        ("codes,name,colour\n,a,#000000\n", "codes of a are ''"),
        ("codes,name,colour\n65536,a,#000000\n", "65536 is larger"),
        ("codes,name,colour\n1\n", "class 0 has no name"),
        ('codes,name,colour\n1,"a,#000000\n', "unexpected end of data"),
    ],
)
def test_what_is_no_nomenclature(tmp_path, text, problem):
    path = tmp_path / "own.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=problem) as caught:
        nomenclature(str(path))
    assert str(path) in str(caught.value)
    assert "codes,name,colour" in str(caught.value)


def test_what_is_not_there(tmp_path):
    with pytest.raises(UsageError, match=r"no nomenclature 'corine20'.*corine44"):
        nomenclature("corine20")
    with pytest.raises(UsageError, match="cannot be read"):
        nomenclature(str(tmp_path / "gone.csv"))
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="cannot be read"):
        nomenclature(str(tmp_path / "binary.csv"))
