"""METADATA.XML has what a real one has, and readers that others wrote read it."""

import importlib
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import numpy as np
import pytest
from pyproj import Geod
from rasterio.rpc import RPC

from spectralearth_build.archive.metadata import read_metadata
from spectralearth_build.overlap.lattice import Box
from spectralearth_build.synthetic import product as products
from spectralearth_build.synthetic.band_sets import band_set
from spectralearth_build.synthetic.navigation import SCENE_COLUMNS
from spectralearth_build.synthetic.product import write_product
from spectralearth_build.synthetic.spec import Layers, ProductSpec
from spectralearth_build.synthetic.xml import metadata_xml

TABLE = Path(__file__).parents[1] / "data" / "enmap_metadata_paths.tsv"
OTHERS = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # of rioxarray
OURS = {"product/calibration/orbit/stateVector": 32, "product/productFileInformation/file": 13}
"""Elements that we write less or more often than the file that the table was read off; bands and lines apart."""


@pytest.fixture(scope="module")
def real():
    """Of each path of a real file, in order: how often it occurs, and its attributes."""
    rows = [line.split("\t") for line in TABLE.read_text().splitlines() if not line.startswith("#")]
    return {path: (int(count), set(filter(None, names.split(",")))) for path, count, names in rows}


@pytest.fixture(scope="module")
def document(product):
    return ElementTree.parse(next(product.glob("*METADATA.XML"))).getroot()


def walk(element, above=""):
    """Path and element, in order of the document."""
    for child in element:
        place = f"{above}/{child.tag}" if above else child.tag
        yield place, child
        yield from walk(child, place)


def test_every_path_in_order_as_often_and_with_its_attributes(document, real, spec):
    found = {}
    for place, element in walk(document):
        count, names = found.get(place, (0, set()))
        found[place] = count + 1, names | set(element.attrib)
    assert len(real) == 632
    assert list(found) == list(real)
    assert {place: names for place, (_, names) in found.items()} == {p: n for p, (_, n) in real.items()}
    for place, (count, _) in found.items():
        above, times = real[place][0], 1
        if above == 218:
            times = 224
        elif place.rpartition("/")[2] in ("frameTime", "jitter"):
            times = spec.lines
        else:
            times = next((n for own, n in OURS.items() if place == own or place.startswith(f"{own}/")), above)
        assert count == times, place


def test_every_leaf_has_a_text(document):
    empty = {
        place for place, element in walk(document) if not len(element) and not (element.text or "").strip()
    }
    assert empty == {f"specific/{d}ProductQuality/missingChannelsList" for d in ("vnir", "swir")}


def test_sizes_are_those_of_the_files(document, product):
    for file in document.findall("product/productFileInformation/file"):
        path = product / file.findtext("name")
        written = path.stat().st_size if "METADATA" not in path.name else 0
        assert int(file.findtext("size")) == written
    assert document.findtext("product/image/merge/size") == str(
        next(product.glob("*SPECTRAL_IMAGE.TIF")).stat().st_size
    )


def test_quicklooks_are_of_the_bands_that_are_named(document):
    for kind, expected in (("VNIR", products._VNIR_NM), ("SWIR", products._SWIR_NM)):
        for place in (f"image/merge/qlChannels{kind}", f"quicklook/{kind.lower()}/qlChannels"):
            assert tuple(float(element.text) for element in document.find(f"product/{place}")) == expected


@pytest.mark.parametrize("corners", [None, ((179.8, 65.2), (179.7, 65.0), (-179.9, 64.98), (-179.8, 65.19))])
def test_rpcs_lead_from_the_corners_to_the_corners_of_the_scene(spec, rendered, corners):
    own = replace(spec, corners=corners)
    document = ElementTree.fromstring(metadata_xml(own, *rendered, ["SPECTRAL_IMAGE.TIF"]))
    bands = document.findall("product/navigation/RPC/bandID")
    assert [band.get("number") for band in bands] == [str(i) for i in range(1, 225)]
    rpc = {element.tag: float(element.text) for element in bands[10]}
    seen = {"upper_left": (0, 0), "lower_left": (spec.lines - 1, 0),
            "lower_right": (spec.lines - 1, SCENE_COLUMNS - 1), "upper_right": (0, SCENE_COLUMNS - 1)}  # fmt: skip
    for (lon, lat), expected in zip(own.footprint(), seen.values(), strict=True):
        assert _image_of(rpc, lon, lat) == pytest.approx(expected, abs=1e-3)
    assert RPC.from_gdal(
        {
            "HEIGHT_OFF": "0", "LAT_OFF": "0", "LONG_OFF": "0", "LINE_OFF": "0", "SAMP_OFF": "0", "HEIGHT_SCALE": "1",
            "LAT_SCALE": "1", "LONG_SCALE": "1", "LINE_SCALE": "1", "SAMP_SCALE": "1",
            **{f"{ours}_{part}_COEFF": " ".join(str(rpc[f"{name}_{part}_{i:02d}"]) for i in range(1, 21))
               for name, ours in (("ROW", "LINE"), ("COL", "SAMP")) for part in ("NUM", "DEN")},
        }
    ).line_den_coeff == [1.0] + [0.0] * 19  # fmt: skip


def _image_of(rpc, lon, lat):
    """Line and column by the polynomials in the order of RPC00B."""
    x = ((lon - rpc["LONG_OFF"] + 180) % 360 - 180) / rpc["LONG_SCALE"]
    y, z = (lat - rpc["LAT_OFF"]) / rpc["LAT_SCALE"], -rpc["HEIGHT_OFF"] / rpc["HEIGHT_SCALE"]
    terms = [1, x, y, z, x * y, x * z, y * z, x * x, y * y, z * z, x * y * z, x**3, x * y * y, x * z * z,
             x * x * y, y**3, y * z * z, x * x * z, y * y * z, z**3]  # fmt: skip
    found = []
    for name in ("ROW", "COL"):
        top, bottom = (
            np.dot(terms, [rpc[f"{name}_{part}_{i:02d}"] for i in range(1, 21)]) for part in ("NUM", "DEN")
        )
        found.append(float(top / bottom * rpc[f"{name}_SCALE"] + rpc[f"{name}_OFF"]))
    return found


def test_the_orbit_passes_over_the_tile_in_its_direction(document, spec):
    vectors = document.findall("product/calibration/orbit/stateVector")
    state = np.array(
        [
            [float(v.findtext(name)) for name in ("posX", "posY", "posZ", "velX", "velY", "velZ")]
            for v in vectors
        ]
    )
    position, velocity = state[:, :3], state[:, 3:]
    np.testing.assert_allclose(np.linalg.norm(position, axis=1), 7.021e6)
    np.testing.assert_allclose(np.linalg.norm(velocity, axis=1), 7534.8, rtol=1e-3)
    np.testing.assert_allclose(np.gradient(position, axis=0)[1:-1], velocity[1:-1], rtol=1e-5, atol=1)
    lat = np.degrees(np.arcsin(position[:, 2] / np.linalg.norm(position, axis=1)))
    lon = np.degrees(np.arctan2(position[:, 1], position[:, 0]))
    assert (lon[0], lat[0]) == pytest.approx(spec.centre)
    ahead = Geod(a=1, f=0).inv(lon[0], lat[0], lon[1], lat[1])[0] % 360
    assert ahead == pytest.approx(180 + spec.scene_azimuth, abs=0.1)
    turns = [
        [float(v.findtext(f"q{i}")) for i in range(4)]
        for v in document.findall("product/calibration/attitude/stateVector")
    ]
    np.testing.assert_allclose(np.linalg.norm(turns, axis=1), 1)


@pytest.fixture(scope="module")
def clear(tmp_path_factory):
    """A product of random values on a raster that is its footprint; with the values."""
    spec = ProductSpec(box=Box(-210703, 15569, 60, 50), sun_elevation=40.0)
    shape = (spec.box.height, spec.box.width)
    random = np.random.default_rng(0)
    cube = np.broadcast_to(random.integers(-50, 6000, (224, 1, shape[1]), np.int16), (224, *shape)).copy()
    cube[130:135] = -32768
    folder = write_product(tmp_path_factory.mktemp("clear"), spec, cube, Layers.clear(shape))
    return folder, spec, cube


@OTHERS
def test_xarray_enmap_reads_it(clear):
    from xarray_enmap import xarray_enmap

    folder, spec, cube = clear
    found = xarray_enmap.read_dataset_from_inner_directory(folder)
    assert found.attrs["id"] == spec.product_id
    assert found.attrs["title"] == "EnMAP Level 2A Product of datatake 1849"
    assert found.attrs["time_coverage_start"].startswith("2024-07-08T10:44:07.036933")
    assert found.attrs["geospatial_lat_min"] == pytest.approx(
        min(lat for _, lat in spec.footprint()), abs=1e-6
    )
    np.testing.assert_array_equal(found["wavelength"], band_set("C").wavelength_nm)
    expected = np.where(cube == -32768, np.nan, cube / 10000)
    np.testing.assert_allclose(found["reflectance"].to_numpy(), expected, rtol=1e-6)
    assert {"cirrus", "classes", "cloud", "cloudshadow", "haze", "snow", "testflags", "mask"} <= set(found)
    found.close()


@pytest.fixture
def hyperproc(monkeypatch):
    """Its reader of EnMAP alone: the package as a whole needs Python 3.12, though it does not say so."""
    folder = Path(find_spec("hyperproc").origin).parent
    for name, place in (("hyperproc", folder), ("hyperproc.readers", folder / "readers")):
        package = ModuleType(name)
        package.__path__ = [str(place)]
        monkeypatch.setitem(sys.modules, name, package)
    yield importlib.import_module("hyperproc.readers.enmap")
    for name in [name for name in sys.modules if name.startswith("hyperproc.readers.")]:
        del sys.modules[name]


@OTHERS
def test_hyperproc_reads_it(clear, hyperproc):
    folder, spec, cube = clear
    found = hyperproc.open_enmap(next(folder.glob("*SPECTRAL_IMAGE.TIF")), pixelmask=True)
    assert (found.attrs["granule"], found.attrs["level"]) == (spec.product_id, "L2A")
    assert found.attrs["crs"] == f"EPSG:{spec.epsg}"
    order = np.argsort(band_set("C").wavelength_nm)
    np.testing.assert_array_equal(found["wavelength"], band_set("C").wavelength_nm[order])
    np.testing.assert_array_equal(found["fwhm"], band_set("C").fwhm_nm[order])
    expected = np.where(cube == -32768, np.nan, cube / 10000)[order]
    values = found["reflectance"].transpose("wavelength", "y", "x").to_numpy()
    np.testing.assert_allclose(values, expected, rtol=1e-6)
    np.testing.assert_array_equal(found["pixelmask"].transpose("wavelength", "y", "x"), cube[order] == -32768)
    metadata = read_metadata(next(folder.glob("*METADATA.XML")))
    assert found.attrs["sun_elevation_center"] == metadata.known["sun_elevation"] == 40.0
    assert found.attrs["cloud_cover_pct"] == metadata.known["cloud_cover"] == 0
    inside = np.isfinite(found["sza"])
    assert inside.mean() > 0.98
    assert float(found["sza"].mean()) == pytest.approx(50, abs=0.05)
    found.close()
