import runpy
from pathlib import Path

import pytest

from spectralearth_build.downstream.page import write
from tests.support.downstream_results import CLASSES, made

take = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "take_demo.py"))


@pytest.mark.slow
def test_tables_and_pictures_take_the_place_of_what_was_there(tmp_path):
    config, cells = made(tmp_path, grid=[{"seeds": [0, 1], "protocols": ["frozen"]}])
    write(config, cells, tmp_path, CLASSES)
    text = "Before.\n\n<!-- demo -->\nold\n<!-- end of demo -->\n\nAfter.\n"
    filled = take["filled"](text, tmp_path)
    assert filled.startswith("Before.\n\n<!-- demo -->\n\n### 100 % of the labels\n\n| weights |")
    assert filled.endswith("<!-- end of demo -->\n\nAfter.\n")
    assert "old" not in filled
    assert "### Pretrained against random weights" in filled
    assert "parameters trained" not in filled
    assert "](downstream/maps-nlcd.png)" in filled
    assert take["filled"](filled, tmp_path) == filled


def test_the_page_has_the_place():
    page = Path(__file__).parents[2] / "docs" / "downstream.md"
    assert take["BLOCK"].search(page.read_text(encoding="utf-8"))
