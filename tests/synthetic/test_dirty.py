"""Every dirty case: what it leaves behind, seen with tools that trust nothing of the package."""

import gzip
import os
import pathlib
import shutil
import tarfile
import zipfile
from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio
import tifffile
from shapely import Polygon

from spectralearth_build import errors
from spectralearth_build.synthetic.dirty import CASES
from spectralearth_build.synthetic.product import write_product
from spectralearth_build.synthetic.spec import Layout


@pytest.fixture
def spoilt(tmp_path, product, spec):
    """Apply a case to a copy of the sound product."""

    def apply(name):
        return CASES[name].apply(shutil.copytree(product, tmp_path / product.name), spec)

    return apply


def image(product):
    return next(path for path in product.iterdir() if "SPECTRAL_IMAGE" in path.name)


def xml(product):
    return ElementTree.parse(next(product.glob("*METADATA.XML"))).getroot()


def pixels(product):
    with rasterio.Env(GDAL_PAM_ENABLED="NO"), rasterio.open(image(product)) as source:
        return source.read()


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_cases_say_what_must_come_of_them(case):
    assert case.what.endswith(".")
    if case.error:
        assert issubclass(getattr(errors, case.error), errors.ProductError)
        assert case.status == getattr(errors, case.error).status in ("quarantined", "rejected")
    else:
        assert case.status == "used"


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.site is None])
def test_cases_change_the_product(name, spoilt, product):
    now = spoilt(name)
    assert os.path.lexists(now)
    if (
        now.is_dir()
        and now.name == product.name
        and CASES[name].error != "UnreadableFileError"
        and name != "unreadable"
    ):
        files = {path.name: path.read_bytes() for path in now.iterdir() if not path.is_fifo()}
        assert files != {path.name: path.read_bytes() for path in product.iterdir()}


@pytest.mark.parametrize("name", ["truncated_image", "truncated_header", "flipped_bits", "vrt"])
def test_broken_images_do_not_decode(name, spoilt):
    with (
        pytest.raises(rasterio.errors.RasterioError),
        rasterio.Env(GDAL_PAM_ENABLED="NO"),
        rasterio.open(image(spoilt(name)), driver="GTiff") as source,
    ):
        source.read()


def test_flipped_bits_are_few(spoilt, product):
    sound, now = (np.frombuffer(image(p).read_bytes(), np.uint8) for p in (product, spoilt("flipped_bits")))
    assert np.unpackbits(sound ^ now).sum() == 28


def test_truncated_layer(spoilt):
    path = next(spoilt("truncated_layer").glob("*CLASSES.TIF"))
    with pytest.raises(rasterio.errors.RasterioError), rasterio.open(path) as source:
        source.read()


def test_huge_claim_is_small_on_disk(spoilt):
    path = image(spoilt("huge_claim"))
    with rasterio.open(path) as source:
        assert source.width * source.height * source.count * 2 > 14e12
    assert path.stat().st_size < 10e6


@pytest.mark.parametrize(("name", "part"), [("zero_bands", np.s_[120:]), ("zero_lines", np.s_[:, 40:])])
def test_holes_read_as_zeros_without_any_error(name, part, spoilt, rendered):
    found = pixels(spoilt(name))
    assert (found[part] == 0).all()
    np.testing.assert_array_equal(found[:100, :30], rendered[0][:100, :30])


def test_sparse_image_lacks_blocks(spoilt, rendered):
    product = spoilt("sparse")
    with tifffile.TiffFile(image(product)) as file:
        assert 0 in file.pages[0].databytecounts
    found = pixels(product)
    np.testing.assert_array_equal(found[:, :35], rendered[0][:, :35])
    assert (found[:, 35:] == -32768).all()


def test_float_copy_has_nan(spoilt, rendered):
    with rasterio.open(image(spoilt("float32"))) as source:
        found = source.read(50)
        assert source.dtypes[0] == "float32"
    np.testing.assert_array_equal(np.isnan(found), rendered[0][49] == -32768)
    np.testing.assert_allclose(np.nan_to_num(found, nan=-3.2768) * 1e4, rendered[0][49], atol=0.01)


@pytest.mark.parametrize(("name", "nodata"), [("no_nodata_tag", None), ("nodata_zero", 0)])
def test_nodata_tag(name, nodata, spoilt, rendered):
    product = spoilt(name)
    with rasterio.open(image(product)) as source:
        assert source.nodata == nodata
    np.testing.assert_array_equal(pixels(product), rendered[0])


def test_band_counts(spoilt):
    assert len(pixels(spoilt("band_count"))) == 223


def test_band_table(spoilt):
    root = xml(spoilt("band_table"))
    assert len(root.findall("specific/bandCharacterisation/bandID")) == 223


def test_no_pixel(spoilt):
    assert (pixels(spoilt("no_pixel")) == -32768).all()


def test_sidecars_mislead_a_trusting_reader(spoilt, spec):
    path = image(spoilt("sidecar"))
    with rasterio.open(path) as source:
        assert source.crs.to_epsg() == 32601
    with rasterio.Env(GDAL_PAM_ENABLED="NO"), rasterio.open(path) as source:
        assert source.crs.to_epsg() == spec.epsg


@pytest.mark.parametrize(
    ("name", "epsg", "pixel"), [("laea", 3035, 30), ("geographic", 4326, 0.00027), ("off_lattice", 32633, 30)]
)
def test_places_off_the_lattice(name, epsg, pixel, spoilt, spec):
    product = spoilt(name)
    for path in product.glob("*.TIF"):
        with rasterio.open(path) as source:
            assert source.crs.to_epsg() == epsg
            assert source.res == (pixel, pixel)
            centre = source.lnglat()
            assert source.transform.c % 30 != pytest.approx(15, abs=0.1)
    assert centre == pytest.approx(np.mean(spec.footprint(), axis=0), abs=0.005)


@pytest.mark.slow
def test_xml_that_disagrees(spoilt, spec, tmp_path):
    assert xml(spoilt("xml_size")).findtext("specific/widthOfOrthoScene") == "74"
    shutil.rmtree(tmp_path / spec.product_id)
    assert xml(spoilt("xml_crs")).findtext("product/ortho/projection") == "UTM_Zone34_North"
    shutil.rmtree(tmp_path / spec.product_id)
    latitude = xml(spoilt("xml_corners")).findtext("base/spatialCoverage/boundingPolygon/point/latitude")
    assert float(latitude) == pytest.approx(spec.footprint()[0][1] + 0.4, abs=1e-5)


def test_truncated_xml_is_not_well_formed(spoilt):
    with pytest.raises(ElementTree.ParseError):
        xml(spoilt("xml_truncated"))


@pytest.mark.parametrize("name", ["xml_dtd", "xml_laughs"])
def test_declared_xml_is_well_formed_but_for_its_entities(name, spoilt):
    text = next(spoilt(name).glob("*METADATA.XML")).read_text()
    assert "<!DOCTYPE" in text
    assert text.count("<!ENTITY") == (9 if name == "xml_laughs" else 0)
    assert ("&l8;" in text) == (name == "xml_laughs")
    if name == "xml_dtd":
        assert ElementTree.fromstring(text).tag == "level_X"


def test_entity_that_names_a_file(spoilt):
    text = next(spoilt("xml_entity").glob("*METADATA.XML")).read_text()
    assert '<!ENTITY file SYSTEM "file:///' in text
    assert "<mission>&file;" in text


def test_deep_and_huge_xml(spoilt, tmp_path, spec):
    place = spoilt("xml_deep")
    with pytest.raises(RecursionError):
        ElementTree.indent(xml(place))
    shutil.rmtree(place)
    path = next(spoilt("xml_huge").glob("*METADATA.XML"))
    assert path.stat().st_size == 65 * 2**20
    assert path.stat().st_blocks * 512 < 2**20
    shutil.rmtree(path.parent)
    assert float(xml(spoilt("xml_numbers")).findtext("specific/widthOfOrthoScene")) == float("inf")


def corners(product):
    points = xml(product).findall("base/spatialCoverage/boundingPolygon/point")
    return [(float(point.findtext("longitude")), float(point.findtext("latitude"))) for point in points]


@pytest.mark.slow
def test_footprints(spoilt, spec, tmp_path):
    assert np.isnan(corners(spoilt("nan_footprint"))).all()
    shutil.rmtree(tmp_path / spec.product_id)
    assert corners(spoilt("no_footprint")) == []
    shutil.rmtree(tmp_path / spec.product_id)
    crossed = Polygon(corners(spoilt("bow_tie"))[:4])
    assert not crossed.is_valid
    assert crossed.bounds == pytest.approx(Polygon(spec.footprint()).bounds, abs=1e-5)


def test_bands_by_detector_agree_with_their_table(spoilt, rendered):
    product = spoilt("by_detector")
    root, found = xml(product), pixels(product)
    rows = root.findall("specific/bandCharacterisation/bandID")
    nm = np.array([float(row.findtext("wavelengthCenterOfBand")) for row in rows])
    assert [row.get("number") for row in rows] == [str(i) for i in range(1, 225)]
    assert (np.diff(nm[:91]) > 0).all()
    assert nm[91] < nm[90]
    np.testing.assert_array_equal(found[np.argsort(nm)], rendered[0])
    swir = root.findtext("specific/swirProductQuality/expectedChannelsList")
    assert swir == ",".join(map(str, range(92, 225)))
    means = [float(row.findtext("mean")) for row in root.findall("product/bandStatistics/bandID")]
    assert means[100] == pytest.approx(found[100][found[100] != -32768].mean(), abs=1e-4)


def test_wavelengths_are_off(spoilt):
    root = xml(spoilt("wavelengths"))
    assert root.findtext("specific/bandCharacterisation/bandID/wavelengthCenterOfBand") == "423.24"


@pytest.mark.slow
def test_night_and_low_sun(spoilt, spec, tmp_path):
    root = xml(spoilt("night"))
    assert root.findtext("specific/sunElevationAngle/center") == "0.000000"
    assert root.findtext("specific/qualityFlag/overallQuality") == "2"
    assert root.findtext("specific/qualityFlag/cloudCover") == "0"
    shutil.rmtree(tmp_path / spec.product_id)
    assert xml(spoilt("low_sun")).findtext("specific/sunElevationAngle/lower_left") == "4.000000"


@pytest.mark.parametrize(
    ("name", "part"), [("no_image", "SPECTRAL"), ("no_metadata", "METADATA"), ("no_layer", "CLOUDSHADOW")]
)
def test_missing_files(name, part, spoilt):
    product = spoilt(name)
    assert not list(product.glob(f"*{part}*"))
    assert len(list(product.iterdir())) == 12


@pytest.mark.parametrize(("name", "part"), [("empty_image", "SPECTRAL"), ("empty_metadata", "METADATA")])
def test_empty_files(name, part, spoilt):
    assert next(spoilt(name).glob(f"*{part}*")).stat().st_size == 0


def test_locked_image(spoilt):
    path = image(spoilt("unreadable"))
    assert path.stat().st_mode & 0o777 == 0
    assert os.access(path, os.R_OK) == (CASES["unreadable"].error == "")


@pytest.mark.parametrize("level", ["L1B", "L1C"])
def test_other_levels(level, spoilt):
    product = spoilt(f"level_{level[1:].lower()}")
    assert f"{level}-" in product.name
    assert all(level in path.name for path in product.iterdir())
    assert xml(product).findtext("base/level") == level


def test_hostile_folder_names(spoilt, spec, tmp_path):
    assert "\n" in spoilt("newline_name").name
    assert "<img" in spoilt("markup_name").name
    assert os.fsencode(spoilt("undecodable_name").name).endswith(b"\xff")


@pytest.mark.parametrize(("name", "member"), [("zip_slip", "../../evil.TIF"), ("zip_newline", "a\nb.TIF")])
def test_hostile_zip_members(name, member, spoilt):
    with zipfile.ZipFile(spoilt(name)) as archive:
        assert member in archive.namelist()
        assert len(archive.namelist()) == 14


def test_hostile_order(spoilt, spec):
    with tarfile.open(spoilt("tar_slip")) as archive:
        assert archive.getnames() == [f"../{spec.product_id}.zip"]


def test_pipes_and_links(spoilt, tmp_path):
    assert image(spoilt("pipe")).is_fifo()
    shutil.rmtree(image(tmp_path / next(tmp_path.iterdir()).name).parent)
    assert image(spoilt("link_out")).resolve() == pathlib.Path("/etc/hostname").resolve()


@pytest.mark.parametrize("name", ["tar_absolute", "tar_link", "tar_device"])
def test_special_members_of_orders(name, spoilt, spec):
    with tarfile.open(spoilt(name)) as archive:
        (member,) = archive.getmembers()
    assert member.name == ("/" if name == "tar_absolute" else "") + f"{spec.product_id}.zip"
    assert (member.issym(), member.ischr()) == (name == "tar_link", name == "tar_device")


def test_tar_bomb(spoilt):
    path = spoilt("tar_bomb")
    assert path.stat().st_size < 2e6
    with tarfile.open(path) as archive:
        assert [member.size for member in archive.getmembers()] == [256 * 2**20]


def test_zip_that_claims_less_than_it_holds(spoilt):
    with zipfile.ZipFile(spoilt("zip_lie")) as archive:
        (liar,) = (member for member in archive.infolist() if member.file_size < member.compress_size)
        assert "SPECTRAL_IMAGE" in liar.filename


@pytest.mark.slow
def test_zip_bomb(spoilt):
    path = spoilt("zip_bomb")
    with zipfile.ZipFile(path) as archive:
        largest = max(archive.infolist(), key=lambda member: member.file_size)
    assert largest.file_size == 256 * 2**20
    assert largest.file_size / largest.compress_size > 200


def test_cut_zip(spoilt):
    path = spoilt("cut_zip")
    assert path.suffix == ".zip"
    assert not zipfile.is_zipfile(path)


def test_cut_order(spoilt):
    with pytest.raises(EOFError):
        gzip.decompress(spoilt("cut_order").read_bytes())


def test_cases_work_on_other_layouts(tmp_path, spec, rendered):
    product = write_product(tmp_path, spec, *rendered, Layout(interleave="pixel"))
    CASES["band_count"].apply(product, spec)
    with rasterio.open(image(product)) as source:
        assert source.count == 223
        assert source.profile["interleave"] == "pixel"
