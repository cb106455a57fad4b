"""Datasets, exports and encoders of earlier versions: read, verified, grown and repaired; made today, they are equal.

What earlier versions wrote lies in tests/data/before, and the README there says what it is.
"""

from __future__ import annotations

import json
import lzma
import shutil
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
from typer.testing import CliRunner

from spectralearth_build import open_dataset
from spectralearth_build.archive import scan as scan_module
from spectralearth_build.checking.verify import verify
from spectralearth_build.cli.app import app
from spectralearth_build.store.seal import KEY, is_sealed
from spectralearth_build.tables import PATCHES, TILES

BEFORE = Path(__file__).parents[1] / "data" / "before"
_spec = spec_from_file_location("made_before", BEFORE / "make.py")
made = module_from_spec(_spec)
_spec.loader.exec_module(made)

VERSIONS = ("restructuring", "holes")
KNOWN = json.loads((BEFORE / "restructuring.json").read_text(encoding="utf-8"))
SAME_LIBRARIES = made.libraries() == KNOWN["libraries"]
NEEDS_LIBRARIES = (".parquet", ".png", ".tif", ".dat", ".idx", ".arrow", "zarr.json")
"""Files whose bytes depend on versions of libraries too."""
PROSE = ("report.html", "README.md")
"""Pages for people: their words may change."""


THEN = ("--set", "scan.validity=all-bands")
"""The default of the setting in these versions."""


def call(*words):
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.output


def call_as_then(*words):
    return call(*words, *(THEN if words[0] == "build" else ()))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Archives of the products of each generation, and the datasets of earlier versions; not to be changed."""
    folder = tmp_path_factory.mktemp("before")
    made.unpack(made.ARCHIVE, folder)
    for name, numbers in {**made.GENERATIONS, "most": (1, 2, 3, 4, 5)}.items():
        made.archive_of(folder / "archive", folder / name, numbers)
    for version in VERSIONS:
        made.unpack(BEFORE / f"{version}.tar.xz", folder)
    return folder


@pytest.fixture(scope="module")
def today(place, tmp_path_factory):
    """A dataset of the same archive, and the hashes of its files after each stage."""
    dataset = tmp_path_factory.mktemp("today") / "restructuring"
    archives = place / "first", place / "more"
    return dataset, made.stages(*archives, dataset, place / "archive" / "cover.tif", call_as_then)


@pytest.fixture(params=VERSIONS)
def dataset(request, place, tmp_path):
    return shutil.copytree(place / request.param, tmp_path / request.param)


def comparable(files):
    """Those of the files that must be equal here, by path, with their hashes; manifests are compared as documents."""
    return {
        name: sha
        for name, sha in files.items()
        if not name.endswith((*PROSE, "manifest.json"))
        and (SAME_LIBRARIES or not name.endswith(NEEDS_LIBRARIES))
    }


def without_versions(manifest):
    """A manifest without what versions of libraries decide: the versions, and hashes of files that follow from them."""
    document = json.loads(manifest.read_bytes())
    files = {name: entry["sha256"] for name, entry in document.pop("files").items()}
    rest = {name: value for name, value in document.items() if name not in ("versions", KEY)}
    return rest, comparable(files)


def shards(files):
    """Of some files those that hold pixels, with their hashes."""
    return {name: sha for name, sha in files.items() if "/reflectance/c." in name}


def pixels(dataset):
    """The bytes of each patch, by its name."""
    opened = open_dataset(dataset)
    return {
        row.patch_id: opened.patch(row.location_id, row.datatake).to_numpy().tobytes()
        for row in opened.query().itertuples()
    }


def test_it_opens_verifies_and_has_the_pixels_of_its_products(dataset, place):
    assert verify(dataset, place / "more") == []
    opened = open_dataset(dataset)
    rows = opened.query()
    assert len(rows) == 4
    for row in rows.itertuples():
        patch = opened.patch(row.location_id, row.datatake)
        (image,) = (place / "more").glob(f"*{row.datatake}*/*SPECTRAL_IMAGE.TIF")
        with rasterio.open(image) as file:
            source = file.read()
            line, col = file.index(float(patch.x[0]), float(patch.y[0]))
        window = source[:, line : line + 128, col : col + 128]
        values = patch.to_numpy()
        bands = [int(np.flatnonzero((window == each).all(axis=(1, 2)))[0]) for each in values]
        assert bands == sorted(set(bands))
        assert len(bands) == 202


def test_it_grows_and_what_it_had_stays(dataset, place):
    before = pixels(dataset)
    call("build", place / "most", dataset, *made.INLINE, *made.SET)
    after = pixels(dataset)
    assert len(after) == len(before) + 1
    assert {name: after[name] for name in before} == before
    assert verify(dataset, place / "most") == []
    assert len(PATCHES.read(dataset)) == 5


@pytest.mark.parametrize(("known", "read"), [("records", [5]), ("other times", [1, 2, 3, 4, 5])])
def test_a_new_default_of_scan_holds_for_new_products_only(today, place, tmp_path, monkeypatch, known, read):
    archive, own = place / "most", shutil.copytree(today[0], tmp_path / "d")
    if known != "records":
        archive = shutil.copytree(archive, tmp_path / "archive", copy_function=shutil.copyfile)
    inspect, seen = scan_module.inspect_product, []

    def spy(product, name, settings):
        seen.append((int(name.datatake[2:]), settings.validity))
        return inspect(product, name, settings)

    monkeypatch.setattr(scan_module, "inspect_product", spy)
    call("build", archive, own, *made.INLINE, *made.SET)
    assert sorted(seen) == [(number, "at-cut" if number == 5 else "all-bands") for number in read]
    monkeypatch.undo()
    expected = shutil.copytree(place / "restructuring", tmp_path / "e")
    call("build", place / "most", expected, *made.INLINE, *made.SET)
    assert comparable(made.hashes(own)) == comparable(made.hashes(expected))
    left_to_cut = {row.datatake for row in TILES.read(own).itertuples() if "at-cut" in row.content}
    assert left_to_cut == {"DT0000000005"}


def test_a_dataset_of_the_new_default_stays_as_it_is_if_all_bands_are_asked_for(place, tmp_path):
    dataset = tmp_path / "d"
    call("build", place / "first", dataset, *made.INLINE, *made.SET)
    before = made.hashes(dataset)
    shutil.rmtree(dataset / "work")
    call("build", place / "first", dataset, *made.INLINE, *made.SET, *THEN)
    assert made.hashes(dataset) == before
    assert all("at-cut" in content for content in TILES.read(dataset)["content"])


def test_a_dataset_of_the_old_default_is_repaired_although_all_is_lost_that_says_so(place, tmp_path):
    dataset = tmp_path / "d"
    call_as_then("build", place / "first", dataset, *made.INLINE, *made.SET)
    before = made.hashes(dataset)
    for name in ("tiles.parquet", "store.zarr/reflectance/c.0.0.0.0"):
        (dataset / name).unlink()
    shutil.rmtree(dataset / "work")
    call("repair", dataset, "--archive", place / "first", *made.INLINE)
    assert made.hashes(dataset) == before


def test_it_is_repaired_to_what_it_was(dataset, place):
    before = made.hashes(dataset)
    lost = ["commits/shard-00000000.json", "statistics.json", "store.zarr/zarr.json", "quarantine.parquet"]
    lost += ["store.zarr/reflectance/c.0.0.0.0", "store.zarr/reflectance/c.3.0.0.0"]
    for name in lost:
        (dataset / name).unlink()
    call("repair", dataset, "--archive", place / "more", *made.INLINE)
    after = made.hashes(dataset)
    assert shards(after) == shards(before)
    assert verify(dataset, place / "more") == []
    if dataset.name == VERSIONS[0] and SAME_LIBRARIES:  # tables of earlier ones gain what they did not know
        assert after == before


def test_its_report_is_drawn(dataset):
    (dataset / "report.html").unlink()
    call("report", dataset)
    assert "DT0000000004" in (dataset / "report.html").read_text(encoding="utf-8")


def test_building_nothing_new_changes_nothing(dataset, place):
    before = made.hashes(dataset)
    call("build", place / "more", dataset, *made.INLINE, *made.SET)
    after = made.hashes(dataset)
    assert shards(after) == shards(before)
    if dataset.name == VERSIONS[0]:
        assert comparable(after) == comparable(before)
    assert "nothing to do" in call("build", place / "more", dataset, *made.INLINE, *made.SET)
    assert made.hashes(dataset) == after


@pytest.mark.parametrize("stage", ["built", "split", "paired", "grown"])
def test_a_dataset_made_today_has_the_same_bytes(today, stage):
    _, stages = today
    assert stages[stage].keys() == KNOWN["stages"][stage].keys()
    assert comparable(stages[stage]) == comparable(KNOWN["stages"][stage])
    assert len(comparable(stages[stage])) > 20


def test_a_manifest_made_today_says_the_same(today, place):
    dataset, _ = today
    assert is_sealed((dataset / "manifest.json").read_bytes())
    assert without_versions(dataset / "manifest.json") == without_versions(
        place / "restructuring" / "manifest.json"
    )


def test_tables_made_today_say_the_same(today, place):
    dataset, _ = today
    for path in sorted((place / "restructuring").glob("*.parquet")):
        pd.testing.assert_frame_equal(pd.read_parquet(dataset / path.name), pd.read_parquet(path))


def test_a_growth_of_what_was_before_gives_what_today_gives(today, place, tmp_path):
    own, _ = today
    trees = []
    for source in (own, place / "restructuring"):
        grown = shutil.copytree(source, tmp_path / source.parent.name / "d")
        call("build", place / "most", grown, *made.INLINE, *made.SET)
        trees.append(made.hashes(grown))
    assert comparable(trees[0]) == comparable(trees[1])


@pytest.mark.parametrize("name", made.FORMATS)
def test_an_export_made_today_has_the_same_bytes(place, tmp_path, name):
    if name == "hf":
        pytest.importorskip("datasets")
    target = tmp_path / name
    words = made.FORMATS[name]
    call("export", place / "restructuring", target, *words, *(made.INLINE if "--codec" in words else ()))
    found = made.hashes(target)
    assert found.keys() == KNOWN["exports"][name].keys()
    assert comparable(found) == comparable(KNOWN["exports"][name])
    assert comparable(found)


@pytest.fixture
def small(monkeypatch):
    torch = pytest.importorskip("torch")
    from spectralearth_build.pretrain.encoders.vit import SIZES

    monkeypatch.setitem(SIZES, "s", (24, 2, 3))
    torch.set_num_threads(1)
    return torch


@pytest.mark.parametrize("name", ["mae", "dino"])
def test_an_encoder_of_before_answers_as_it_did(small, tmp_path, name):
    from spectralearth_build.pretrain.weights import load_encoder

    path = tmp_path / "encoder.safetensors"
    path.write_bytes(lzma.decompress((BEFORE / f"restructuring-{name}.safetensors.xz").read_bytes()))
    encoder = load_encoder(path)
    with small.no_grad():
        vectors, maps = encoder(made.counts()).numpy(), encoder.features(made.counts())
    known = KNOWN["encoders"][name]
    assert np.ptp(vectors) > 0.01
    np.testing.assert_allclose(vectors, known["vectors"], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose([float(maps.mean()), float(maps.std())], known["maps"], rtol=1e-3, atol=1e-4)


TRAINED_AS_BEFORE = ("data.split=", "train.rate_scaling=none", "dino.export=student")
"""The settings that make a run of today what it was."""
NEW = {
    "train": ("rate_scaling", "schedule", "decay", "recompute"),
    "encoder": ("positions",),
    "dino": ("export",),
}


def without_what_is_new(metadata):
    """What an encoder's file says, without the settings that came later and the patches that it saw."""
    ((kind, text),) = metadata.items()
    document = json.loads(text)
    document["about"].pop("seen", None)
    for section, keys in NEW.items():
        for key in keys:
            document["about"]["settings"].get(section, {}).pop(key, None)
    return {kind: document}


@pytest.mark.parametrize("name", ["mae", "dino"])
def test_an_encoder_trained_today_is_the_same(small, place, tmp_path, name):
    """The losses to what another processor may round; its file says the same of the same tensors."""
    from safetensors import safe_open

    made.trained(place / "restructuring", tmp_path / "run", name, TRAINED_AS_BEFORE)
    known = KNOWN["encoders"][name]
    np.testing.assert_allclose(made.losses(tmp_path / "run"), known["losses"], rtol=1e-3)
    path = tmp_path / "before.safetensors"
    path.write_bytes(lzma.decompress((BEFORE / f"restructuring-{name}.safetensors.xz").read_bytes()))
    with safe_open(path, "pt") as before, safe_open(tmp_path / "run" / "encoder.safetensors", "pt") as now:
        assert without_what_is_new(now.metadata()) == without_what_is_new(before.metadata())
        shapes = [{key: file.get_slice(key).get_shape() for key in file.keys()} for file in (before, now)]  # noqa: SIM118
    assert shapes[0] == shapes[1]
