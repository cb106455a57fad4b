"""What may be a source of labels, and what it says of itself."""

import re
import subprocess
import sys

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.errors import NotGeoreferencedWarning

from spectralearth_build.errors import UsageError
from spectralearth_build.labels.label_raster import open_label_raster
from spectralearth_build.labels.resample import on_patch
from tests.support.label_rasters import Patch, Shape, noise, write

NORTH_UP = Affine(30, 0, 600_015, 0, -30, 5_300_025)


def test_codes_and_quantities_are_told_apart_by_type(tmp_path):
    with open_label_raster(write(tmp_path, np.ones((4, 5), np.int16), NORTH_UP, "EPSG:32632")) as source:
        assert (source.kind, source.dtype, source.nodata) == ("categorical", np.int16, -32768)
        assert (source.name, source.shape, source.transform) == ("labels.tif", (4, 5), NORTH_UP)
        assert source.crs.to_epsg() == 32632
    with open_label_raster(write(tmp_path, np.ones((4, 5), np.float64), NORTH_UP, "EPSG:32632")) as source:
        assert (source.kind, source.dtype) == ("continuous", np.float32)
        assert np.isnan(source.nodata)
        assert source.read(slice(0, 4), slice(1, 3)).dtype == np.float32


@pytest.mark.parametrize(
    ("dtype", "tag", "nodata"),
    [
        ("uint8", None, 255), ("uint8", 0, 0), ("uint8", 48, 48), ("int8", None, -128), ("int8", -128, -128),
        ("uint16", None, 65_535), ("int16", -32768, -32768), ("int32", None, -(2**31)), ("int32", 0, 0),
    ],
)  # fmt: skip
def test_codes_that_stand_for_no_data(tmp_path, dtype, tag, nodata):
    with open_label_raster(
        write(tmp_path, np.ones((4, 5), dtype), NORTH_UP, "EPSG:32632", nodata=tag)
    ) as source:
        assert source.nodata == nodata


@pytest.mark.parametrize("tag", [-9999, 300, 0.5, np.nan])
def test_a_tag_that_is_no_code_counts_for_nothing(tmp_path, tag):
    """As GDAL's translations write it: out of range, and nothing that a pixel could hold."""
    path = write(
        tmp_path, np.ones((4, 5), np.uint8), NORTH_UP, "EPSG:32632", driver="VRT" if False else "GTiff"
    )
    vrt = tmp_path / "tagged.vrt"
    vrt.write_text(f"""<VRTDataset rasterXSize="5" rasterYSize="4"><SRS>EPSG:32632</SRS>
        <GeoTransform>600015,30,0,5300025,0,-30</GeoTransform>
        <VRTRasterBand dataType="Byte" band="1"><NoDataValue>{tag}</NoDataValue>
        <SimpleSource><SourceFilename>{path}</SourceFilename><SourceBand>1</SourceBand></SimpleSource>
        </VRTRasterBand></VRTDataset>""")
    with open_label_raster(vrt) as source:
        assert source.nodata == 255
        assert (source.read(slice(0, 4), slice(0, 5)) == 1).all()


def test_integers_may_be_quantities_with_scale_and_offset(tmp_path):
    values = np.array([[0, 50, 100, 255]], np.uint8)
    path = write(tmp_path, values, NORTH_UP, "EPSG:32632", nodata=255)
    with rasterio.open(path, "r+") as target:
        target.scales, target.offsets = (0.01,), (1.0,)
    with open_label_raster(path, "continuous") as source:
        assert source.dtype == np.float32
        np.testing.assert_allclose(source.read(slice(0, 1), slice(0, 4)), [[1, 1.5, 2, np.nan]], rtol=1e-6)
    with open_label_raster(path) as source:
        np.testing.assert_array_equal(source.read(slice(0, 1), slice(0, 4)), values)


def test_quantities_that_are_no_numbers_have_no_data(tmp_path):
    values = np.array([[-1.7e308, np.inf, np.nan, 1e200, 5]], np.float64)
    path = write(tmp_path, values, NORTH_UP, "EPSG:32632", nodata=-1.7e308)
    with open_label_raster(path) as source:
        np.testing.assert_array_equal(source.read(slice(0, 1), slice(0, 5)), [[np.nan] * 4 + [5]])


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_mask_of_its_own_counts(tmp_path, dtype):
    path = tmp_path / "masked.tif"
    profile = {"driver": "GTiff", "height": 2, "width": 2, "count": 1, "dtype": dtype, "crs": "EPSG:32632"}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", transform=NORTH_UP, **profile) as target,
    ):
        target.write(np.full((1, 2, 2), 3, dtype))
        target.write_mask(np.array([[True, False], [True, True]]))
    with open_label_raster(path) as source:
        absent = 255 if dtype == np.uint8 else np.nan
        np.testing.assert_array_equal(source.read(slice(0, 2), slice(0, 2)), [[3, absent], [3, 3]])


def test_colour_tables_are_ignored(tmp_path):
    path = write(tmp_path, np.full((2, 2), 7, np.uint8), NORTH_UP, "EPSG:32632")
    with rasterio.open(path, "r+") as target:
        target.write_colormap(1, {7: (200, 100, 0, 255), 0: (0, 0, 0, 0)})
    with open_label_raster(path) as source:
        assert (source.read(slice(0, 2), slice(0, 2)) == 7).all()


@pytest.mark.parametrize(
    ("crs", "pixel", "metres"),
    [
        ("EPSG:3035", 100, 100),
        ("EPSG:4326", 0.0001, 11.12),
        ("EPSG:2225", 10, 3.048),
        ("EPSG:4807", 0.001, 100.07),
    ],
)
def test_nominal_size_of_a_pixel(tmp_path, crs, pixel, metres):
    with open_label_raster(noise(tmp_path, Shape(crs, pixel, margin=0))[0]) as source:
        assert source.metres == pytest.approx(metres, rel=1e-3)


def test_covers(tmp_path):
    patch = Patch()
    with open_label_raster(noise(tmp_path, Shape("EPSG:3035", 50))[0]) as source:
        assert source.covers(*patch.place)
        assert source.covers(patch.epsg, patch.west + 3_000, patch.north)
        assert not source.covers(patch.epsg, patch.west + 9_000, patch.north)
        assert not source.covers(32756, patch.west, patch.north)


@pytest.mark.parametrize(
    ("values", "change", "problem"),
    [
        (np.ones((3, 4, 4), np.uint8), {}, "has 3 bands; labels must have one"),
        (np.ones((4, 4), np.uint8), {"crs": None}, "no coordinate system"),
        (np.ones((4, 4), np.uint8), {"transform": None}, "no georeferencing"),
        (np.ones((4, 4), np.uint32), {}, "is uint32; class codes must be one of uint8"),
        (np.ones((4, 4), np.float32), {"kind": "categorical"}, "is float32; class codes"),
        (np.ones((4, 4), np.complex64), {}, "is complex64"),
        (np.ones((4, 4), np.complex64), {"kind": "continuous"}, "is complex64"),
        (
            np.ones((4, 4), np.uint8),
            {"crs": 'LOCAL_CS["site",UNIT["metre",1]]'},
            "coordinate system, site, is neither",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_what_is_no_source_of_labels(tmp_path, values, change, problem):
    kind = change.pop("kind", None)
    given = {"crs": "EPSG:32632", "transform": NORTH_UP} | change
    path = write(tmp_path, values, **given)
    with pytest.raises(UsageError, match=problem) as caught:
        open_label_raster(path, kind)
    assert str(path) in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(UsageError, match=r"cannot be read.*No such file") as caught:
        open_label_raster(tmp_path / "gone.tif")
    assert "gone.tif" in str(caught.value)
    (tmp_path / "text.tif").write_text("no raster")
    with pytest.raises(UsageError, match=r"text.tif: The raster cannot be read"):
        open_label_raster(tmp_path / "text.tif")


def test_a_file_that_breaks_off_says_so_when_it_is_read(tmp_path):
    values = np.random.default_rng(0).integers(0, 200, (300, 300)).astype(np.uint8)
    path = write(
        tmp_path, values, NORTH_UP, "EPSG:32632", compress="deflate", tiled=True, blockxsize=64, blockysize=64
    )
    path.write_bytes(path.read_bytes()[:40_000])
    with (
        open_label_raster(path) as source,
        pytest.raises(UsageError, match=r"labels.tif: The raster cannot be read"),
    ):
        on_patch(source, 32632, 603_015, 5_297_025, "nearest")


@pytest.fixture
def server(tmp_path):
    """A process of its own: rasterio keeps other threads from running while it opens a file."""
    command = [
        sys.executable,
        "-u",
        "-m",
        "http.server",
        "0",
        "--bind",
        "127.0.0.1",
        "--directory",
        str(tmp_path),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as running:
        try:
            port = re.search(r"port (\d+)", running.stdout.readline())[1]
            yield f"http://127.0.0.1:{port}"
        finally:
            running.kill()


def test_a_url_is_read_and_its_query_never_shown(tmp_path, server):
    write(tmp_path, np.full((200, 200), 9, np.uint8), NORTH_UP, "EPSG:32632")
    with open_label_raster(f"{server}/labels.tif?signature=secret") as source:
        assert source.name == "labels.tif"
        assert (on_patch(source, 32632, 600_015, 5_300_025, "nearest") == 9).all()
    with pytest.raises(UsageError, match="cannot be read") as caught:
        open_label_raster(f"{server.replace('//', '//me:word@')}/gone.tif?signature=secret")
    assert f"{server}/gone.tif" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "word" not in str(caught.value)


def test_rasters_are_opened_without_warnings(tmp_path, recwarn):
    write(tmp_path, np.ones((2, 2), np.uint8), NORTH_UP, "EPSG:32632")
    open_label_raster(tmp_path / "labels.tif").close()
    assert not [w for w in recwarn if issubclass(w.category, NotGeoreferencedWarning)]
