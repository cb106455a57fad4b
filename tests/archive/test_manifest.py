"""Tile lists."""

from pathlib import Path

import pytest

from spectralearth_build.archive.names import parse_name
from spectralearth_build.archive.tile_list import Listed, missing, read_tile_list, write_tile_list
from spectralearth_build.errors import UsageError
from spectralearth_build.synthetic.archive import ArchiveOptions, plan_archive

NAME = parse_name("ENMAP01-____L2A-DT0000001849_20220720T104204Z_005_V010111_20221213T160335Z")


def read(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "tiles.csv"
    path.write_text(text, encoding=encoding)
    return read_tile_list(path)


def test_what_is_written_is_read(tmp_path):
    tiles = [Listed("DT0000001849_005", "V010111"), Listed("DT0000001120_009")]
    write_tile_list(tmp_path / "tiles.csv", tiles, "Two tiles.\nFor a test.")
    assert (tmp_path / "tiles.csv").read_text() == (
        "# Two tiles.\n# For a test.\ntile_id,version\nDT0000001849_005,V010111\nDT0000001120_009,\n"
    )
    assert list(read_tile_list(tmp_path / "tiles.csv").values()) == tiles


@pytest.mark.parametrize(
    "text",
    [
        "tile_id\nDT0000001849_005\n",
        "# c\n\ntile_id,version\n# c\nDT0000001849_005,\n\n",
        "tile_id, version\nDT0000001849_005 , \n",
        "tile_id\r\nDT000001849_005\r\n",
        "tile_id,version\nDT0000001849_005\nDT0000001849_005\n",
    ],
)
def test_forms_of_one_tile(tmp_path, text):
    assert read(tmp_path, text) == {"DT0000001849_005": Listed("DT0000001849_005")}
    assert read(tmp_path, text, "utf-8-sig") == {"DT0000001849_005": Listed("DT0000001849_005")}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "columns"),
        ("DT0000001849_005\n", "columns"),
        ("tile_id,wersion\n", "columns"),
        ("# c\ntile_id\n# c\nDT0000001849_5\n", "Line 4, 'DT0000001849_5'"),
        ("tile_id,version\nDT0000001849_005,1.1.11\n", "Line 2"),
        ("tile_id\nDT0000001849_005,V010111\n", "Line 2"),
        (
            "tile_id,version\nDT0000001849_005,V010111\nDT0000001849_005,V010402\n",
            "Line 3 asks for another version",
        ),
    ],
)
def test_mistakes_are_named(tmp_path, text, what):
    with pytest.raises(UsageError, match=what) as caught:
        read(tmp_path, text)
    assert "data_manifests/README.md" in str(caught.value)


def test_unreadable_lists(tmp_path):
    with pytest.raises(UsageError):
        read_tile_list(tmp_path / "none.csv")
    with pytest.raises(UsageError):
        read(tmp_path, "tile_id\n\u00ff", "latin-1")


def test_what_is_missing():
    listed = {
        tile.tile_id: tile for tile in (Listed("DT0000001849_005", "V010402"), Listed("DT0000001120_009"))
    }
    assert missing(listed, [NAME]) == list(listed.values())
    listed["DT0000001849_005"] = Listed("DT0000001849_005", "V010111")
    assert missing(listed, [NAME]) == [Listed("DT0000001120_009")]
    assert Listed("DT0000001849_005").takes(NAME)


def test_the_demo_list_is_what_demo_makes():
    path = Path(__file__).parents[2] / "data_manifests" / "demo_tiles.csv"
    tasks = plan_archive(ArchiveOptions("demo"))
    assert list(read_tile_list(path)) == sorted({task.spec.tile_id for task in tasks})


def test_the_example_in_the_documentation(tmp_path):
    text = (Path(__file__).parents[2] / "data_manifests" / "README.md").read_text(encoding="utf-8")
    example = text.split("```csv\n")[1].split("```")[0]
    assert list(read(tmp_path, example).values()) == [
        Listed("DT0000001849_005", "V010111"),
        Listed("DT0000001867_008"),
    ]
