from __future__ import annotations

import json
import os

import pytest

from spectralearth_build.archive.record import FORMAT
from spectralearth_build.store.failed_tiles import FailedTile, failed_path, read_failed, stamp

NOTE = FailedTile("plan-a", "DT0000001849_005", "BrokenRasterError", "broken", "s")


def test_notes_are_kept_by_plan(tmp_path):
    NOTE.write(tmp_path)
    assert failed_path(tmp_path, NOTE.tile_id) == tmp_path / "work/failed/DT0000001849_005.json"
    assert read_failed(tmp_path, "plan-a") == {NOTE.tile_id: NOTE}
    assert read_failed(tmp_path, "plan-b") == {}


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"plan": "plan-a"}'])
def test_a_damaged_note_is_no_note(tmp_path, content):
    NOTE.write(tmp_path)
    failed_path(tmp_path, NOTE.tile_id).write_bytes(content)
    assert read_failed(tmp_path, "plan-a") == {}


def test_notes_of_earlier_versions_are_read(tmp_path):
    """They lack what they were judged by; cut tries such tiles again."""
    NOTE.write(tmp_path)
    path = failed_path(tmp_path, NOTE.tile_id)
    old = json.loads(path.read_bytes())
    del old["judged"]
    path.write_text(json.dumps(old))
    assert read_failed(tmp_path, "plan-a")[NOTE.tile_id].judged == 0 != FORMAT


@pytest.fixture
def product(tmp_path):
    folder = tmp_path / "product"
    folder.mkdir()
    (folder / "IMAGE.TIF").write_bytes(b"123")
    return folder


def test_stamp_follows_content_time_and_permission(tmp_path, product):
    image = product / "IMAGE.TIF"
    seen = [stamp(tmp_path, "product")]
    assert stamp(tmp_path, "product") == seen[0]
    image.write_bytes(b"1234")
    seen.append(stamp(tmp_path, "product"))
    os.utime(image, ns=(5, 5))
    seen.append(stamp(tmp_path, "product"))
    (product / "METADATA.XML").write_bytes(b"")
    seen.append(stamp(tmp_path, "product"))
    assert len(set(seen)) == 4


def test_what_lies_in_an_archive_has_a_stamp_of_its_own_that_follows_the_archive(tmp_path):
    (tmp_path / "order.tar.gz").write_bytes(b"123")
    before = [stamp(tmp_path, f"order.tar.gz!{name}") for name in ("inner.zip!X", "other.zip!X")]
    assert before[0] != before[1]
    (tmp_path / "order.tar.gz").write_bytes(b"1234")
    after = [stamp(tmp_path, f"order.tar.gz!{name}") for name in ("inner.zip!X", "other.zip!X")]
    assert set(before).isdisjoint(after)


def test_one_file_stands_for_its_folder(tmp_path, product):
    (product / "METADATA.XML").write_bytes(b"1")
    before = stamp(tmp_path, "product/METADATA.XML")
    (product / "IMAGE.TIF").write_bytes(b"another image")
    assert stamp(tmp_path, "product/METADATA.XML") != before


def test_a_product_that_is_gone_has_a_stamp(tmp_path, product):
    before = stamp(tmp_path, "product")
    (product / "IMAGE.TIF").unlink()
    product.rmdir()
    assert stamp(tmp_path, "product") != before
