"""METADATA.XML, read back with the standard library's parser."""

from dataclasses import replace
from datetime import datetime
from xml.etree import ElementTree

import numpy as np
import pytest

from spectralearth_build.synthetic.band_sets import band_set
from spectralearth_build.synthetic.xml import history_xml, metadata_xml

CORNERS = ("upper_left", "upper_right", "lower_left", "lower_right", "center")
QUALITY = (
    "overallQuality", "overallQualityVNIR", "overallQualitySWIR", "cloudCover", "hazeCover", "cirrusCover",
    "snowCover", "waterCover", "cloudShadow", "sceneSZA", "sceneWV", "sceneAOT",
)  # fmt: skip
SPECIFIC = (
    "datatakeID", "tileID", "numberOfTiles", "orbitDirection", "meanGroundElevation", "spatialCoverageOfDatatake",
    "widthOfOrthoScene", "heightOfOrthoScene", "pixelSizeOfOrthoScene", "backgroundValue",
    *(f"qualityFlag/{name}" for name in QUALITY),
    *(f"{angle}/{corner}" for corner in CORNERS for angle in (
        "sunElevationAngle", "sunAzimuthAngle", "acrossOffNadirAngle", "alongOffNadirAngle")),
    *(f"bandCharacterisation/bandID[@number='224']/{name}" for name in (
        "wavelengthCenterOfBand", "FWHMOfBand", "GainOfBand", "OffsetOfBand")),
    "vnirProductQuality/expectedChannelsList", "swirProductQuality/expectedChannelsList",
)  # fmt: skip
PATHS = (
    "base/archivedVersion", "base/revision", "base/temporalCoverage/startTime", "base/temporalCoverage/stopTime",
    *(f"base/spatialCoverage/boundingPolygon/point[frame]/{name}" for name in ("latitude", "longitude", "utcTime")),
    *(f"specific/{name}" for name in SPECIFIC),
    "product/bandStatistics/bandID[@number='1']/mean", "product/bandStatistics/bandID[@number='1']/stdDeviation",
    "product/image/merge/channels", "product/image/merge/name", "product/image/merge/dimension",
    "product/ortho/projection", "product/productFileInformation/file/name",
)  # fmt: skip


@pytest.fixture(scope="module")
def root(product):
    return ElementTree.parse(next(product.glob("*METADATA.XML"))).getroot()


@pytest.mark.parametrize("path", PATHS)
def test_every_known_path_is_there(root, path):
    assert root.tag == "level_X"
    assert root.find(path) is not None


def test_points_are_as_in_real_files(root, spec):
    points = root.findall("base/spatialCoverage/boundingPolygon/point")
    frames = [point.findtext("frame") for point in points]
    assert frames == ["upper_left", "lower_left", "lower_right", "upper_right", "upper_left", "center"]
    first, fifth = ((p.findtext("latitude"), p.findtext("longitude")) for p in (points[0], points[4]))
    assert first != fifth
    assert [float(v) for v in first] == pytest.approx([float(v) for v in fifth], abs=1e-6)
    west_east = [float(points[i].findtext("longitude")) for i in (0, 3)]
    assert west_east == pytest.approx([spec.footprint()[0][0], spec.footprint()[3][0]], abs=1e-6)


def test_bands_are_the_set_of_the_product(root, spec):
    rows = root.findall("specific/bandCharacterisation/bandID")
    wavelengths = [float(row.findtext("wavelengthCenterOfBand")) for row in rows]
    np.testing.assert_array_equal(wavelengths, band_set(spec.band_set).wavelength_nm)
    lists = [
        root.findtext(f"specific/{d}ProductQuality/expectedChannelsList").split(",") for d in ("vnir", "swir")
    ]
    assert [len(numbers) for numbers in lists] == [91, 133]
    assert sorted(int(number) for numbers in lists for number in numbers) == list(range(1, 225))


def test_statistics_are_those_of_the_pixels(root, rendered, inside):
    cube, _ = rendered
    rows = root.findall("product/bandStatistics/bandID")
    assert [float(rows[131].findtext(name)) for name in ("mean", "stdDeviation")] == [-1000000, 0]
    values = cube[50][inside].astype(float)
    assert float(rows[50].findtext("mean")) == pytest.approx(values.mean(), abs=1e-5)
    assert float(rows[50].findtext("stdDeviation")) == pytest.approx(values.std(), abs=1e-5)


def test_traps_of_real_files(root, spec):
    assert root.findtext("specific/backgroundValue") == "0"
    assert root.findtext("specific/tileID") == "01"
    assert "DT" + root.findtext("specific/datatakeID") == spec.datatake
    assert root.findtext("product/image/merge/dimension/columns") == "64"
    assert datetime.fromisoformat(root.findtext("base/temporalCoverage/startTime")) == spec.started
    cloud = int(root.findtext("specific/qualityFlag/cloudCover"))
    assert 1 <= cloud <= 60


def test_centre_of_a_tile_across_the_antimeridian(spec, rendered):
    corners = ((179.8, 65.2), (179.7, 65.0), (-179.9, 65.0), (-179.8, 65.2))
    root = ElementTree.fromstring(
        metadata_xml(replace(spec, corners=corners), *rendered, ["SPECTRAL_IMAGE.TIF"])
    )
    centre = root.findall("base/spatialCoverage/boundingPolygon/point")[5]
    assert abs(float(centre.findtext("longitude"))) == pytest.approx(179.95, abs=1e-6)
    assert float(centre.findtext("latitude")) == pytest.approx(65.1)


def test_history_names_the_product(spec):
    assert ElementTree.fromstring(history_xml(spec)).findtext("product") == spec.product_id
