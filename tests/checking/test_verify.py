from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256

import numpy as np
import pytest

from spectralearth_build.checking.verify import verify
from spectralearth_build.errors import UsageError
from spectralearth_build.layout import ROOT, shard_name, shard_path
from spectralearth_build.store.codec import encode_patch
from spectralearth_build.store.commit import json_bytes
from spectralearth_build.store.index import encode_index
from spectralearth_build.store.seal import sealed, sealed_page
from spectralearth_build.store.shard import ShardReader, write_shard
from spectralearth_build.tables import LOCATIONS, PATCHES, TILES
from tests.support.files import flip_bit, tree
from tests.support.store_study import A1, A2, B1, Study, replace_file, replace_pixels

SHARD = shard_name(0)


def edit(study: Study, name: str, change: Callable[[dict], object]) -> None:
    path = study.dataset / name
    document = json.loads(path.read_bytes())
    change(document)
    path.write_bytes(json_bytes(sealed(document)) if name == "manifest.json" else json_bytes(document))


def admit(study: Study, *names: str) -> None:
    """Forge the manifest: let it say that files are as they are now."""

    def change(manifest):
        for name in names:
            data = (study.dataset / name).read_bytes()
            manifest["files"][name] = {"bytes": len(data), "sha256": sha256(data).hexdigest()}

    edit(study, "manifest.json", change)


def kinds(study: Study, **options) -> set[tuple[str, str]]:
    return {(damage.kind, damage.path) for damage in verify(study.dataset, **options)}


@pytest.mark.slow
def test_a_sound_dataset(finished_study):
    before = tree(finished_study.dataset)
    assert verify(finished_study.dataset) == []
    assert verify(finished_study.dataset, finished_study.archive) == []
    assert tree(finished_study.dataset) == before


@pytest.mark.slow
def test_a_dataset_with_a_quarantined_tile_is_sound(finished_study, tmp_path):
    study = finished_study.copy(tmp_path, archive=True)
    replace_file(study.image(B1), b"")
    study.forget(3, 4)
    study.run()
    assert verify(study.dataset, study.archive) == []


def test_work_and_report_are_not_part_of_the_dataset(finished):
    (finished.dataset / "report.html").write_bytes(sealed_page("later"))
    (finished.dataset / "work/anything").write_text("later")
    assert verify(finished.dataset) == []


def test_an_unpublished_dataset(planned):
    with pytest.raises(UsageError, match=r"manifest\.json"):
        verify(planned.dataset)


@pytest.mark.parametrize("name", ["tiles.parquet", "statistics.json", "locations.idx", SHARD, ROOT])
def test_a_missing_file(finished, name):
    (finished.dataset / name).unlink()
    assert ("FileMissing", name) in kinds(finished)


def test_an_unknown_file(finished):
    (finished.dataset / "store.zarr/reflectance/c.77.0.0.0").write_bytes(b"")
    assert kinds(finished) == {("FileUnknown", "store.zarr/reflectance/c.77.0.0.0")}


@pytest.mark.parametrize(
    "name",
    ["locations.dat", "plan.json", "tuples.parquet", "commits/shard-00000001.json", "store.zarr/epsg/c.0"],
)
def test_a_flipped_bit_in_a_small_file(finished, name):
    flip_bit(finished.dataset / name, 8 * 12)
    assert ("FileChanged", name) in kinds(finished)


def test_a_flipped_bit_in_a_patch_names_its_row(finished):
    flip_bit(finished.dataset / SHARD, 8 * 60)
    found = verify(finished.dataset)
    assert [(damage.kind, damage.path) for damage in found] == [
        ("ChunkDamaged", SHARD),
        ("FileChanged", SHARD),
    ]
    assert "Row 0: A checksum (crc32c)" in found[0].message


def test_a_flipped_bit_in_a_shard_index(finished):
    flip_bit(finished.dataset / SHARD, 8 * -10)
    assert kinds(finished) == {("ShardDamaged", SHARD)}


def test_a_truncated_shard(finished):
    path = finished.dataset / SHARD
    path.write_bytes(path.read_bytes()[:-30])
    assert kinds(finished) == {("FileChanged", SHARD), ("ShardDamaged", SHARD)}


def rewrite_shard(
    study: Study, change: Callable[[np.ndarray], np.ndarray], rows: tuple[int, ...] = (0, 1)
) -> None:
    """Replace the first shard by a sound one with other pixels, commit and manifest forged to match.

    The record knows no checksums of pixels, as those of earlier versions.
    """
    path = shard_path(study.dataset, 0)
    reader = ShardReader(path, 2)
    patches = [(row, encode_patch(change(reader.patch(row, "spectral")), "spectral")) for row in rows]
    written = write_shard(path, 2, patches)
    commit = "commits/shard-00000000.json"

    def forge(document):
        document.update(bytes=written.size, sha256=written.sha256)
        del document["pixels"]

    edit(study, commit, forge)
    edit(study, "manifest.json", lambda m: m["counts"]["store"].update(shard_bytes=total_bytes(study)))
    admit(study, SHARD, commit)


def total_bytes(study: Study) -> int:
    return sum(path.stat().st_size for path in (study.dataset / "store.zarr/reflectance").glob("c.*"))


@pytest.mark.slow
def test_other_pixels_under_sound_checksums(finished):
    """What no hash can tell: the statistics still can, and the archive knows which patch."""
    rewrite_shard(finished, lambda patch: patch + np.int16(1))
    assert kinds(finished) == {("StatisticsWrong", SHARD)}
    assert ("SourceDiffers", SHARD) in kinds(finished, archive=finished.archive)


@pytest.mark.slow
def test_swapped_pixels_that_keep_the_statistics(finished):
    rewrite_shard(finished, lambda patch: np.ascontiguousarray(patch[:, ::-1]))
    assert verify(finished.dataset) == []
    found = verify(finished.dataset, finished.archive)
    assert [damage.kind for damage in found] == ["SourceDiffers", "SourceDiffers"]
    assert "values differ from the source" in found[0].message


def test_a_row_that_is_missing_from_its_shard(finished):
    rewrite_shard(finished, lambda patch: patch, rows=(1,))
    assert ("ShardDamaged", SHARD) in kinds(finished)


def test_a_changed_source(finished_study, tmp_path):
    study = finished_study.copy(tmp_path, archive=True)

    def brighten(cube):
        cube[:, 30, 30] += 1

    replace_pixels(study.image(A1), brighten)
    found = verify(study.dataset, study.archive)
    assert [(damage.kind, damage.path) for damage in found] == [("SourceDiffers", SHARD)]
    assert "202 values" in found[0].message


def test_a_source_that_cannot_be_read(finished_study, tmp_path):
    study = finished_study.copy(tmp_path, archive=True)
    study.image(A2).unlink()
    assert kinds(study, archive=study.archive) == {("SourceMissing", A2)}


def test_a_wrong_table(finished):
    patches = PATCHES.read(finished.dataset)
    patches.loc[2, "status"] = "skipped"
    PATCHES.write(patches, finished.dataset)
    admit(finished, PATCHES.file)
    assert {
        ("TableWrong", PATCHES.file),
        ("CountsWrong", PATCHES.file),
        ("CountsWrong", "manifest.json"),
    } <= kinds(finished)


def test_an_unreadable_table(finished):
    (finished.dataset / TILES.file).write_bytes(b"PAR1")
    assert {("FileChanged", TILES.file), ("TableWrong", PATCHES.file)} <= kinds(finished)


def test_an_index_of_other_locations(finished):
    for name, data in encode_index([(np.array([0]), np.array([[0.0, 0.0, 1.0, 1.0]]))]).items():
        (finished.dataset / name).write_bytes(data)
        admit(finished, name)
    assert kinds(finished) == {("IndexWrong", "locations.idx")}


def test_statistics_of_other_patches(finished):
    edit(finished, "statistics.json", lambda document: document["mean"].__setitem__(0, 0.0))
    admit(finished, "statistics.json")
    assert kinds(finished) == {("StatisticsWrong", "statistics.json")}


def test_store_metadata_that_does_not_fit_the_plan(finished):
    name = "store.zarr/reflectance/zarr.json"
    edit(finished, name, lambda document: document.update(fill_value=0))
    admit(finished, name)
    assert kinds(finished) == {("StoreWrong", "reflectance")}


def test_coordinates_that_do_not_fit_the_tables(finished):
    locations = LOCATIONS.read(finished.dataset)
    name, other = "store.zarr/west/c.0", "store.zarr/north/c.0"
    (finished.dataset / name).write_bytes((finished.dataset / other).read_bytes())
    admit(finished, name)
    assert len(locations) == 5
    assert kinds(finished) == {("StoreWrong", "store.zarr/west")}


def test_counts_that_do_not_balance(finished):
    edit(finished, "manifest.json", lambda manifest: manifest["counts"]["patches"].update(written=9))
    assert kinds(finished) == {("CountsWrong", "manifest.json")}


def test_damage_reads_as_a_line(finished):
    (finished.dataset / "statistics.json").unlink()
    line = str(next(d for d in verify(finished.dataset) if d.kind == "FileMissing"))
    assert line == "FileMissing: statistics.json: The manifest lists it, but it is missing."


def test_pixels_that_are_not_those_that_were_cut(finished):
    """Store, hashes and archive agree; only what the record says of the pixels before they were encoded does not."""

    def change(record):
        record["pixels"][1] ^= 1

    edit(finished, "commits/shard-00000000.json", change)
    admit(finished, "commits/shard-00000000.json")
    found = verify(finished.dataset, finished.archive)
    assert [(damage.kind, len(damage.patches)) for damage in found] == [
        ("ChunkDamaged", 1),
        ("CountsWrong", 0),
        ("SourceDiffers", 1),
    ]
    assert "does not decode to the pixels that were cut" in found[0].message
    assert "both differ from the pixels that were cut" in found[2].message
