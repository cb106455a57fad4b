"""A product that is replaced between scan and cut, with size and times as they were, gives no patch of other ground."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct

import numpy as np
import pytest
import rasterio

from spectralearth_build import open_dataset
from spectralearth_build.archive.bands import nominal
from spectralearth_build.archive.identity import PIECES
from spectralearth_build.archive.record import FORMAT
from spectralearth_build.checking.verify import verify
from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.config import load
from spectralearth_build.cutting import tile_reader
from spectralearth_build.errors import PlanChangedError
from spectralearth_build.overlap.lattice import PIXEL
from spectralearth_build.pipeline import Run
from spectralearth_build.progress import set_quiet
from spectralearth_build.synthetic.product import write_product
from spectralearth_build.synthetic.spec import Layers, Layout
from spectralearth_build.tables import PATCHES, TILES
from tests.support.files import tree
from tests.support.small_archive import BASE, CONFIG, cube_of, image_of, run_stages, spec_of, write_tile
from tests.support.straddling_archive import straddling_archive

SHIFT = 1000
"""Pixels to the east: 30 km."""


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    """An archive of two tiles, scanned and planned; nothing is cut."""
    folder = tmp_path_factory.mktemp("content")
    for number in (1, 2):
        write_tile(folder / "archive", number)
    run = Run(folder / "d", CONFIG, InlineExecutor())
    set_quiet(True)
    run.scan(folder / "archive")
    run.plan()
    return folder


@pytest.fixture
def own(scanned, tmp_path):
    """The same of one's own: times of its files are those that were scanned."""
    set_quiet(True)
    yield shutil.copytree(scanned, tmp_path / "own", copy_function=shutil.copy2)
    set_quiet(False)


def written_like(path, data):
    """Put a file in the place of another, of which sizes and modification times tell nothing."""
    seen = path.stat()
    assert len(data) <= seen.st_size, "the attack wants files of one size"
    data += bytes(seen.st_size - len(data))  # behind its end no reader of GeoTIFF looks
    path.unlink()
    path.write_bytes(data)
    os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))


def other_pixels(own):
    """Tile 2 with other pixels."""
    spec, other = spec_of(2), np.ascontiguousarray(cube_of(2)[:, ::-1] + 1)
    clear = Layers.clear((spec.box.height, spec.box.width))
    made = write_product(own / "other", spec, other, clear, Layout(compress="none"))
    image = image_of(own / "archive", 2)
    written_like(image, (made / image.name).read_bytes())
    return other


def moved(own):
    """Tile 2, its georeference 30 km east."""
    image = image_of(own / "archive", 2)
    with rasterio.open(image) as raster:
        west = raster.transform.c
    before, after = (struct.pack("<d", x) for x in (west, west + PIXEL * SHIFT))
    data = image.read_bytes()
    assert data.count(before) == 1
    written_like(image, data.replace(before, after))


def text_replaced(own):
    """Tile 2 with another sun in its METADATA.XML."""
    xml = next((own / "archive" / spec_of(2).product_id).glob("*METADATA.XML"))
    text = xml.read_bytes()
    found = re.search(rb"<sunElevationAngle.*?<center[^>]*>\s*", text, re.DOTALL)
    assert found is not None
    place = found.end()
    other = b"1" if text[place : place + 1] != b"1" else b"2"
    written_like(xml, text[:place] + other + text[place + 1 :])


def clouds_replaced(own):
    """Tile 2 with clouds everywhere."""
    layer = next((own / "archive" / spec_of(2).product_id).glob("*QL_QUALITY_CLOUD.TIF"))
    with rasterio.open(layer) as raster:
        profile = raster.profile
    with rasterio.open(own / "clouds.tif", "w", **profile) as raster:
        raster.write(np.ones((1, profile["height"], profile["width"]), np.uint8))
    written_like(layer, (own / "clouds.tif").read_bytes())


def cut_only(own, config=CONFIG):
    """Cut, without another scan; the status of tile 2."""
    Run(own / "d", config, InlineExecutor()).cut(own / "archive")
    tiles = TILES.read(own / "d").set_index("tile_id")
    assert tiles.loc[spec_of(1).tile_id, "status"] == "used"
    return tiles.loc[spec_of(2).tile_id]


def build_again(archive, dataset):
    """What `build` does before it verifies."""
    run = Run(dataset, CONFIG, InlineExecutor())
    run.scan(archive)
    run.plan()
    run.cut_as_scanned(archive)


def patches_of(own, number):
    frame = PATCHES.read(own / "d")
    return frame[(frame["tile_id"] == spec_of(number).tile_id) & (frame["status"] == "written")]


def built_right(own, truth):
    """Build, but for the report; whether all patches are the pixels of these cubes, at their place; damages."""
    build_again(own / "archive", own / "d")
    damages = verify(own / "d", own / "archive")
    dataset = open_dataset(own / "d")
    places = dataset.locations.set_index("location_id")
    kept = nominal().wavelength_nm
    for patch in dataset.patches[dataset.patches["status"] == "written"].itertuples():
        number = int(patch.datatake[2:])
        place, box = places.loc[patch.location_id], spec_of(number).box
        line, col = -place["lattice_row"] - box.line, place["lattice_col"] - box.col
        index = np.asarray(dataset.tiles.set_index("tile_id").loc[patch.tile_id, "band_index"])
        assert len(index) == len(kept)
        expected = truth[number][index, line : line + 128, col : col + 128]
        assert np.array_equal(dataset.patch(patch.location_id, patch.datatake).to_numpy(), expected)
    return damages


def refused(own, words):
    """Cut without another scan: tile 2 is refused in these words, tile 1 is published."""
    tile = cut_only(own)
    assert (tile["status"], tile["error_class"]) == ("quarantined", "ContentChangedError")
    assert re.search(words, tile["reason"]), tile["reason"]
    assert len(patches_of(own, 2)) == 0
    assert len(patches_of(own, 1)) > 0
    assert verify(own / "d") == []


def test_other_pixels(own):
    """In one run: refused, scanned, planned and cut."""
    other = other_pixels(own)
    assert built_right(own, {1: cube_of(1), 2: other}) == []
    assert len(patches_of(own, 2)) > 0
    retired = PATCHES.read(own / "d").query("status == 'retired'")
    assert retired["reason"].str.startswith("Replaced by pixels of").all()
    before = tree(own / "d")
    build_again(own / "archive", own / "d")
    assert tree(own / "d") == before


def test_another_place(own):
    """Scan then sees that the metadata speak of another place than the image."""
    moved(own)
    refused(own, r"its image has moved by \+30 km east and \+0 km north")
    assert built_right(own, {1: cube_of(1)}) == []
    tile = TILES.read(own / "d").set_index("tile_id").loc[spec_of(2).tile_id]
    assert (tile["status"], tile["error_class"]) == ("quarantined", "MetadataMismatchError")
    assert len(patches_of(own, 1)) > 0


def test_other_metadata(own):
    before = TILES.read(own / "d").set_index("tile_id")["sun_elevation"]
    text_replaced(own)
    refused(own, r"its METADATA\.XML differs")
    assert built_right(own, {1: cube_of(1), 2: cube_of(2)}) == []
    after = TILES.read(own / "d").set_index("tile_id")["sun_elevation"]
    assert after[spec_of(1).tile_id] == before[spec_of(1).tile_id]
    assert after[spec_of(2).tile_id] != before[spec_of(2).tile_id]
    assert len(patches_of(own, 2)) > 0


def test_other_clouds(own):
    clouds_replaced(own)
    refused(own, "its layer CLOUD differs")
    assert built_right(own, {1: cube_of(1)}) == []
    assert len(patches_of(own, 2)) == 0


def test_an_image_that_is_replaced_while_it_is_read(own, monkeypatch):
    """What was decoded before and after belongs to two files."""
    real, attacked = tile_reader.Judge.read, []

    def read(judge, dataset, *arguments):
        real(judge, dataset, *arguments)
        if str(image_of(own / "archive", 2)) == dataset.name and not attacked:
            attacked.append(other_pixels(own))

    monkeypatch.setattr(tile_reader.Judge, "read", read)
    tile = cut_only(own)
    assert attacked
    assert tile["error_class"] == "ContentChangedError"
    assert built_right(own, {1: cube_of(1), 2: attacked[0]}) == []
    assert len(patches_of(own, 2)) > 0


def test_a_neighbour_that_was_replaced_costs_no_patch(tmp_path):
    archive, dataset = straddling_archive(tmp_path / "archive"), tmp_path / "d"
    run = Run(dataset, CONFIG, InlineExecutor())
    set_quiet(True)
    run.scan(archive)
    run.plan()
    image = sorted(archive.glob("*_001_V*/*SPECTRAL_IMAGE.TIF"))[0]
    with rasterio.open(image) as raster:
        profile, pixels = raster.profile, raster.read()
    with rasterio.open(tmp_path / "copy.tif", "w", **profile) as raster:
        raster.write(np.where(pixels > -32768, pixels + 7, pixels))
    seen = image.stat()
    shutil.move(tmp_path / "copy.tif", image)
    os.utime(image, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    build_again(archive, dataset)
    assert verify(dataset, archive) == []
    patches = PATCHES.read(dataset)
    written = patches[patches["status"] == "written"]
    assert [len(names) for names in written["sources"]] == [2]
    patch = open_dataset(dataset).patch(written["location_id"].iloc[0], written["datatake"].iloc[0])
    line, col = np.ogrid[:128, :128]
    place = open_dataset(dataset).locations.iloc[0]
    line, col = line - place["lattice_row"], col + place["lattice_col"] - BASE.box.col
    ground = (line * 5 + col * 2) % 97 + 200
    first = line < BASE.box.line + 80
    band = np.asarray(TILES.read(dataset)["band_index"].iloc[0])[100]
    assert np.array_equal(patch[100], 3 * band + ground + np.where(first, 7, 0))


def test_files_that_were_touched_or_copied_are_what_they_were(own):
    for path in (own / "archive").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            path.unlink()
            path.write_bytes(data)  # another inode, other times
    assert cut_only(own)["status"] == "used"
    assert len(patches_of(own, 2)) > 0


def test_content_of_which_patches_were_cut_is_refused_unless_asked_for(own):
    run_stages(own / "archive", own / "d")
    before = tree(own / "d")
    other = other_pixels(own)
    # A growth reads tile 2 no more, unless scan does: its files say that nothing changed. Let them say so.
    os.utime(image_of(own / "archive", 2))
    with pytest.raises(PlanChangedError, match=r"(?s)tiles changed.*replace_versions"):
        run_stages(own / "archive", own / "d")
    assert {n: h for n, h in tree(own / "d").items() if n.startswith("store")} == {
        n: h for n, h in before.items() if n.startswith("store")
    }
    asked = load(None, {**_flat(CONFIG), "plan.replace_versions": True})
    run_stages(own / "archive", own / "d", config=asked)
    assert verify(own / "d", own / "archive") == []
    (patch,) = patches_of(own, 2).itertuples()
    assert patch.generation == 1
    assert (open_dataset(own / "d").patch(patch.location_id, patch.datatake).min() > 0).item()
    assert other.min() > 0


def _flat(config):
    sections = config.model_dump(mode="json")
    return {f"{s}.{k}": v for s in ("run", "store") for k, v in sections[s].items()}


def test_a_dataset_planned_before_contents_were_known_is_cut(own):
    tiles = TILES.read(own / "d")
    assert FORMAT >= 2
    assert all(set(json.loads(text)) >= {"bytes", "mask", "SPECTRAL_IMAGE"} for text in tiles["content"])
    tiles["content"] = None
    TILES.write(tiles, own / "d")
    assert cut_only(own)["status"] == "used"


def test_without_contents_the_place_still_counts(own):
    tiles = TILES.read(own / "d")
    tiles["content"] = None
    TILES.write(tiles, own / "d")
    moved(own)
    assert cut_only(own)["error_class"] == "ContentChangedError"


@pytest.mark.parametrize("layout", [Layout(compress="none"), Layout(block=64), Layout(interleave="pixel")])
def test_pieces_are_spread_over_bands_and_ground(tmp_path, layout):
    """A tenth of the image that is other is seen wherever it lies, also in a file of one size."""
    spec = spec_of(1)
    from spectralearth_build.archive.identity import _places

    made = write_product(tmp_path, spec, cube_of(1), Layers.clear((spec.box.height, spec.box.width)), layout)
    with rasterio.open(next(made.glob("*SPECTRAL_IMAGE.TIF"))) as image:
        places = list(_places(image))
        down, across = (-(-n // b) for n, b in zip(image.shape, image.block_shapes[0], strict=True))
    assert len(places) == PIECES
    bands, lines, cols = map(set, zip(*places, strict=True))
    if layout.interleave != "pixel":
        assert len(bands) == PIECES
    assert max(np.diff([-1, *sorted(lines), down])) <= max(2, down / 10)
    assert max(np.diff([-1, *sorted(cols), across])) <= 2
