"""Names: all 151 real ones, file name variants, and what is no name."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from spectralearth_build.archive.names import layer_of, parse_name

SEEN = (Path(__file__).parents[1] / "data" / "enmap_product_names_seen.txt").read_text().split()
L2A = "ENMAP01-____L2A-DT0000001849_20220720T104204Z_005_V010111_20221213T160335Z"


def test_every_real_name_is_understood():
    names = [parse_name(text) for text in SEEN]
    assert len(names) == 151
    assert [name.product_id for name in names if name] == SEEN
    levels = [name.level for name in names if name]
    assert {level: levels.count(level) for level in set(levels)} == {"L1B": 8, "L1C": 6, "L2A": 126, "L0": 11}


def test_one_tile_keeps_its_identity_from_version_to_version():
    tiles = [name.tile_id for text in SEEN if (name := parse_name(text)) and name.level == "L2A"]
    assert tiles.count("DT0000001849_005") == 2
    assert tiles.count("DT0000001867_008") == 3


def test_parts_of_a_name():
    name = parse_name(f"/somewhere/{L2A}/{L2A}-METADATA.XML")
    assert name is not None
    assert (name.level, name.datatake, name.tile, name.version) == ("L2A", "DT0000001849", 5, "V010111")
    assert name.started == datetime(2022, 7, 20, 10, 42, 4, tzinfo=UTC)
    assert name.processed == datetime(2022, 12, 13, 16, 3, 35, tzinfo=UTC)
    assert name.tile_id == "DT0000001849_005"
    assert name.product_id == L2A


def test_nine_digits_name_the_same_datatake_as_ten():
    nine = parse_name("ENMAP01-____L2A-DT000326721_20170626T102020Z_001_V000204_20200406T201930Z")
    ten = parse_name("ENMAP01-____L2A-DT0000326721_20170626T102020Z_001_V000204_20200406T201930Z")
    assert nine is not None
    assert ten is not None
    assert nine.tile_id == ten.tile_id == "DT0000326721_001"
    assert nine.product_id != ten.product_id


def test_the_file_says_more_than_the_folder():
    other = L2A.replace("_005_", "_006_")
    assert parse_name(f"{L2A}/{other}-METADATA.XML").tile == 6


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ENMAP01-____L2A-DT0000001849_20220720T104204Z_005_V010111",
        L2A.replace("20220720", "20221320"),
        L2A.replace("104204", "106204"),
        L2A.replace("L2A", "L3A"),
        L2A.replace("0000001849", "٠٠٠٠٠٠١٨٤٩"),
    ],
)
def test_no_name(text):
    assert parse_name(text) is None


@pytest.mark.parametrize(
    ("file", "layer"),
    [
        (f"{L2A}-METADATA.XML", ("METADATA", True)),
        ("METADATA.xml", ("METADATA", True)),
        (f"{L2A}-HISTORY.XML", ("HISTORY", True)),
        (f"{L2A}-SPECTRAL_IMAGE.TIF", ("SPECTRAL_IMAGE", True)),
        (f"{L2A}-SPECTRAL_IMAGE_COG.TIF", ("SPECTRAL_IMAGE", True)),
        ("SPECTRAL_IMAGE.tiff", ("SPECTRAL_IMAGE", True)),
        (f"{L2A}-SPECTRAL_IMAGE.BSQ", ("SPECTRAL_IMAGE", False)),
        (f"{L2A}-QL_PIXELMASK.TIF", ("PIXELMASK", True)),
        (f"{L2A}-QL_QUALITY_CLOUDSHADOW_COG.tif", ("CLOUDSHADOW", True)),
        (f"{L2A}-QL_SWIR.TIF", ("SWIR", True)),
        (f"{L2A}-SPECTRAL_IMAGE.TIF.aux.xml", None),
        (f"{L2A}-QL_VNIR_COG_thumbnail.jpg", None),
        ("README.txt", None),
    ],
)
def test_files_of_a_product(file, layer):
    assert layer_of(file) == layer


def test_names_of_files_are_recognised_again():
    name = parse_name(L2A)
    for layer in ("METADATA", "HISTORY", "SPECTRAL_IMAGE", "PIXELMASK", "VNIR", "CLOUD", "CLASSES", "SNOW"):
        assert layer_of(name.file(layer)) == (layer, True)
        assert parse_name(name.file(layer)) == name
