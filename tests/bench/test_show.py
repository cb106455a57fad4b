import pytest

from spectralearth_build.bench.show import number, percent, table


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("a", "a"),
        (12_345, "12,345"),
        (0.01234, "0.0123"),
        (3.14159, "3.14"),
        (314.159, "314.2"),
        (5.0, "5"),
        (float("nan"), "-"),
    ],
)
def test_numbers(cell, text):
    assert number(cell) == text


def test_percent():
    assert percent(0.12345) == "12.3 %"
    assert percent(float("nan")) == "-"


def test_a_table_holds_its_cells_in_columns():
    lines = table("Title [x]", ("name", "count"), [("a", 1), ("bb", 2000)]).splitlines()
    assert lines[0] == "Title [x]"
    assert lines[2].split() == ["name", "count"]
    assert [line.split() for line in lines[4:6]] == [["a", "1"], ["bb", "2,000"]]
    assert lines[4].index("1") == lines[5].index("2,000") + 4
