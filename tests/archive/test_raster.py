"""Reading GeoTIFFs: every layout, and hostile files."""

import os
import struct
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import rasterio
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio import Affine

from spectralearth_build.archive import raster
from spectralearth_build.archive.raster import SharedRaster, chunks, open_raster, read_image
from spectralearth_build.errors import (
    BrokenRasterError,
    EmptyFileError,
    MissingFileError,
    UnreadableFileError,
)

LAYOUTS = {
    "strips of 3": {"interleave": "band", "compress": "deflate", "blockysize": 3},
    "one strip": {"interleave": "band", "blockysize": 150},
    "pixel strips": {"interleave": "pixel", "compress": "lzw", "blockysize": 1},
    "pixel, one strip": {"interleave": "pixel", "compress": "deflate", "blockysize": 150},
    "tiles": {"interleave": "band", "compress": "zstd", "tiled": True, "blockxsize": 64, "blockysize": 64},
    "pixel tiles": {"interleave": "pixel", "tiled": True, "blockxsize": 32, "blockysize": 16},
}
CUBE = np.random.default_rng(5).integers(-32768, 32767, (9, 150, 130)).astype(np.int16)


def write(path, cube=CUBE, **profile):
    options = {"crs": "EPSG:32632", "transform": Affine(30, 0, 467085, 0, -30, 6321105), "nodata": -32768}
    shape = {"count": cube.shape[0], "height": cube.shape[1], "width": cube.shape[2]}
    options |= {"driver": "GTiff", "dtype": cube.dtype, **shape, **profile}
    with rasterio.open(path, "w", **options) as target:
        target.write(cube)
    return path


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("lines", [None, slice(0, 1), slice(37, 101), slice(149, 150), slice(20, 20)])
def test_any_layout_gives_the_same_pixels(tmp_path, layout, lines):
    path = write(tmp_path / "a.TIF", **LAYOUTS[layout])
    index = np.array([8, 0, 3, 4], np.int32)
    assert (read_image(path, index, lines) == CUBE[index][:, lines or slice(None)]).all()


@settings(max_examples=40, deadline=None)
@given(
    layout=st.sampled_from(sorted(LAYOUTS)), bounds=st.tuples(*(st.integers(0, n) for n in (150, 150, 130, 130))),
    chunk=st.sampled_from([1, 5_000, 60_000, 10**9]), bands=st.integers(1, 9),
)  # fmt: skip
def test_chunks_cover_everything_once_and_split_no_block(tmp_path_factory, layout, bounds, chunk, bands):
    path = tmp_path_factory.getbasetemp() / f"{layout}.TIF"
    if not path.exists():
        write(path, **LAYOUTS[layout])
    lines, cols, before = sorted(bounds[:2]), sorted(bounds[2:]), raster.CHUNK
    seen = np.zeros((bands, 150, 130), int)
    raster.CHUNK = chunk
    try:
        with open_raster(path) as dataset:
            height, width = dataset.block_shapes[0]
            for part in chunks(dataset, bands, slice(*lines), slice(*cols)):
                seen[part.bands, part.rows, part.cols] += 1
                assert part.rows.start == lines[0] or part.rows.start % height == 0
                assert part.rows.stop == lines[1] or part.rows.stop % height == 0
                assert part.cols.start == cols[0] or part.cols.start % width == 0
                assert part.cols.stop == cols[1] or part.cols.stop % width == 0
    finally:
        raster.CHUNK = before
    assert (seen[:, slice(*lines), slice(*cols)] == 1).all()
    assert seen.sum() == bands * (lines[1] - lines[0]) * (cols[1] - cols[0])


def test_reading_stays_within_a_few_chunks_of_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(raster, "CHUNK", 20_000)
    path = write(tmp_path / "a.TIF", **LAYOUTS["pixel tiles"])
    with open_raster(path) as dataset:
        sizes = [part.window.width * part.window.height * 2 * 9 for part in chunks(dataset, 9)]
    assert max(sizes) <= 20_000


def test_a_stale_sidecar_changes_nothing(tmp_path):
    path = write(tmp_path / "a.TIF")
    with open_raster(path) as dataset:
        clean = dataset.profile
    (tmp_path / "a.TIF.aux.xml").write_text(
        "<PAMDataset><SRS>EPSG:4326</SRS><GeoTransform>0, 1, 0, 0, 0, -1</GeoTransform>"
        '<PAMRasterBand band="1"><NoDataValue>0</NoDataValue></PAMRasterBand></PAMDataset>'
    )
    (tmp_path / "a.tfw").write_text("1\n0\n0\n-1\n0\n0\n")
    with open_raster(path) as dataset:
        assert dataset.profile == clean
    with rasterio.open(path) as trusting:  # the danger is real
        assert trusting.transform != clean["transform"]


def test_a_vrt_in_disguise_is_refused(tmp_path):
    write(tmp_path / "secret.TIF")
    disguised = tmp_path / "a.TIF"
    disguised.write_text(
        '<VRTDataset rasterXSize="130" rasterYSize="150"><GeoTransform>0, 30, 0, 0, 0, -30</GeoTransform>'
        '<VRTRasterBand dataType="Int16" band="1"><SimpleSource>'
        f"<SourceFilename>{tmp_path / 'secret.TIF'}</SourceFilename><SourceBand>1</SourceBand></SimpleSource>"
        "</VRTRasterBand></VRTDataset>"
    )
    with rasterio.open(disguised) as trusting:
        assert trusting.read(1).shape == (150, 130)  # the danger is real
    with pytest.raises(BrokenRasterError, match=r"a\.TIF.*Download"), open_raster(disguised):
        pass


@pytest.mark.parametrize("layout", ["strips of 3", "one strip", "pixel tiles"])
def test_a_truncated_file_is_broken(tmp_path, layout):
    path = write(tmp_path / "a.TIF", **LAYOUTS[layout])
    os.truncate(path, path.stat().st_size * 2 // 3)
    with pytest.raises(
        BrokenRasterError, match=r"a\.TIF: The raster cannot be read .*Download the product again"
    ):
        read_image(path, np.arange(9, dtype=np.int32))


def test_claims_of_absurd_size_are_refused_when_opened(tmp_path):
    path = write(tmp_path / "a.TIF", CUBE[:1], blockysize=1)
    with tifffile.TiffFile(path, mode="r+") as tiff:
        for tag in ("ImageWidth", "ImageLength"):
            tiff.pages[0].tags[tag].overwrite(60_000)
    with pytest.raises(BrokenRasterError, match="60000 x 60000"), open_raster(path):
        pass


def test_absurd_blocks_are_refused(tmp_path):
    path = write(tmp_path / "a.TIF", CUBE[:1], tiled=True, blockxsize=256, blockysize=256)
    with tifffile.TiffFile(path, mode="r+") as tiff:
        tiff.pages[0].tags["TileWidth"].overwrite(65_520)
    with pytest.raises(BrokenRasterError), open_raster(path):
        pass


def test_unusable_files(tmp_path, monkeypatch):
    with pytest.raises(MissingFileError), open_raster(tmp_path / "none.TIF"):
        pass
    with pytest.raises(MissingFileError), open_raster(tmp_path):
        pass
    empty = tmp_path / "empty.TIF"
    empty.touch()
    with pytest.raises(EmptyFileError), open_raster(empty):
        pass
    garbage = tmp_path / "garbage.TIF"
    garbage.write_bytes(struct.pack("<2sHI", b"II", 42, 8) + b"\xff" * 100)
    with pytest.raises(BrokenRasterError), open_raster(garbage):
        pass

    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(UnreadableFileError, match="permissions"), open_raster(garbage):
        pass


def test_no_georeference_is_no_warning(tmp_path):
    tifffile.imwrite(tmp_path / "a.TIF", CUBE, photometric="minisblack", planarconfig="separate")
    with open_raster(tmp_path / "a.TIF") as dataset:
        assert dataset.crs is None
        assert (dataset.read() == CUBE).all()


def test_threads_open_a_file_once_each_and_read_what_is_there(tmp_path, monkeypatch):
    path = write(tmp_path / "a.TIF", **LAYOUTS["strips of 3"])
    real, opened = raster._opened, []
    monkeypatch.setattr(raster, "_opened", lambda place: opened.append(place) or real(place))
    shared = SharedRaster(path)

    def read(band):
        with shared.opened() as dataset:
            return dataset.read(band)

    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(read, [*range(1, 10)] * 5))
    assert (np.stack(found) == np.concatenate([CUBE] * 5)).all()
    assert 1 <= len(opened) <= 3
    shared.close()
    assert (read(1) == CUBE[0]).all()  # opens it again


def test_a_handle_that_failed_is_not_lent_again(tmp_path, monkeypatch):
    path = write(tmp_path / "a.TIF", **LAYOUTS["strips of 3"])
    os.truncate(path, path.stat().st_size * 2 // 3)
    real, opened = raster._opened, []
    monkeypatch.setattr(raster, "_opened", lambda place: opened.append(place) or real(place))
    shared = SharedRaster(path)
    for _ in range(2):
        with pytest.raises(BrokenRasterError, match="Download the product again"), shared.opened() as dataset:
            dataset.read()
    assert len(opened) == 2
    with pytest.raises(MissingFileError), SharedRaster(tmp_path / "none.TIF").opened():
        pass
