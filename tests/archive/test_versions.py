"""Which copy and version counts."""

from hypothesis import given
from hypothesis import strategies as st

from spectralearth_build.archive.discover import Found
from spectralearth_build.archive.names import parse_name
from spectralearth_build.archive.versions import candidates, pinned, status_of
from spectralearth_build.plan_document import Generation, Inputs, PlanDocument


def item(version="010110", processed="20221122T224132", tile=5, kind="folder", path=None):
    text = f"ENMAP01-____L2A-DT0000001849_20220720T104204Z_{tile:03d}_V{version}_{processed}Z"
    return Found(path or f"{text}.{kind}", kind, parse_name(text), "stamp")


def test_the_real_pair_of_versions():
    old, new = item("010110", "20221122T224132"), item("010111", "20221213T160335")
    assert candidates([old, new]) == {"DT0000001849_005": [new, old]}
    assert status_of(old, new) == ("superseded", f"{new.name.product_id} is newer.")


def test_what_the_dataset_has_comes_first():
    old, new, other = item("010110"), item("010402"), item("010402", tile=6)
    pins = {"DT0000001849_005": old.name.product_id, "DT0000001849_006": "gone"}
    assert candidates([new, other, old], pins) == {
        "DT0000001849_005": [old, new],
        "DT0000001849_006": [other],
    }
    status, reason = status_of(new, old)
    assert status == "unused"
    assert old.name.product_id in reason
    assert "plan.replace_versions = true" in reason
    assert status_of(item("010101"), old) == ("superseded", f"{old.name.product_id} is newer.")


def test_pins_are_the_plans_products_once_something_was_cut(tmp_path):
    inputs = Inputs(settings={}, tiles={"DT0000001849_005": ["product", "fingerprint"]})
    plan = PlanDocument("id", inputs, (Generation("id", 0),))
    assert pinned(tmp_path) == {}
    (tmp_path / "plan.json").write_bytes(plan.encode())
    assert pinned(tmp_path) == {}
    (tmp_path / "commits").mkdir()
    (tmp_path / "commits" / "shard-00000000.json").write_text("{}")
    assert pinned(tmp_path) == {"DT0000001849_005": "product"}
    (tmp_path / "plan.json").write_text("[]")
    assert pinned(tmp_path) == {}


def test_version_before_processing_time():
    reprocessed, newer = item("010110", "20240101T000000"), item("010402", "20230101T000000")
    assert candidates([reprocessed, newer])["DT0000001849_005"][0] is newer
    later = item("010402", "20230601T000000")
    assert candidates([newer, later])["DT0000001849_005"] == [later, newer]


def test_folder_before_zip_before_tar_then_path():
    copies = [
        item(kind="folder", path="z"),
        item(kind="folder", path="zz"),
        item(kind="zip"),
        item(kind="tar"),
    ]
    assert candidates(reversed(copies))["DT0000001849_005"] == copies
    assert status_of(copies[3], copies[0]) == ("duplicate", "The same product is used from z.")


@given(
    st.permutations(
        [item(v, tile=t, kind=k) for v in ("010110", "010402") for t in (1, 2) for k in ("zip", "tar")]
    )
)
def test_the_order_of_discovery_does_not_matter(found):
    result = candidates(found)
    assert list(result) == ["DT0000001849_001", "DT0000001849_002"]
    assert [(i.name.version, i.kind) for i in result["DT0000001849_002"]] == [
        ("V010402", "zip"), ("V010402", "tar"), ("V010110", "zip"), ("V010110", "tar"),
    ]  # fmt: skip
