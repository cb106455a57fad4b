"""Cross-checks of name, metadata and rasters, one disagreement at a time."""

import re
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio import Affine

from spectralearth_build.archive.checks import (
    as_bytes,
    check_image,
    check_layer,
    check_metadata,
    check_scale,
)
from spectralearth_build.archive.metadata import read_metadata
from spectralearth_build.archive.names import parse_name
from spectralearth_build.archive.raster import open_raster
from spectralearth_build.errors import (
    BandMismatchError,
    MetadataMismatchError,
    OffLatticeError,
    OutsideUtmError,
    WrongLevelError,
    WrongTypeError,
)
from spectralearth_build.overlap.lattice import Box

BOX = Box(-210703, 15569, 40, 130)
PATH = Path("some.file")


@pytest.fixture
def metadata(make):
    return read_metadata(next(make().glob("*METADATA.XML")))


def image(
    folder, epsg=32633, west=467085, north=6321105, count=224, dtype="int16", shape=(40, 130), pixel=(30, -30), turn=0
):  # fmt: skip
    """An empty raster; -210703 lines and 15569 columns are 6321105 m and 467085 m, as in a catalogue item."""
    path = folder / "image.TIF"
    with rasterio.open(
        path, "w", driver="GTiff", dtype=dtype, count=count, height=shape[0], width=shape[1], sparse_ok=True,
        crs=epsg and f"EPSG:{epsg}", transform=Affine(pixel[0], turn, west, turn, pixel[1], north),
    ):  # fmt: skip
        pass
    return open_raster(path)


def test_a_sound_product_passes(metadata, tmp_path):
    check_metadata(parse_name(metadata.name), metadata, PATH)
    with image(tmp_path) as dataset:
        assert check_image(dataset, metadata, PATH) == (32633, BOX)


@pytest.mark.parametrize(
    ("change", "error", "what"),
    [
        ({"level": "L1C"}, WrongLevelError, "level L1C"),
        ({"tile": 7}, MetadataMismatchError, "DT0000001849_007, the files to DT0000001849_001"),
        ({"datatake": "DT0000000001"}, MetadataMismatchError, "DT0000000001_001"),
        ({"corners": dict.fromkeys(("upper_left", "upper_right", "lower_left", "lower_right"), (0, 84.5))},
         OutsideUtmError, r"latitude 84\.50"),
        ({"corners": dict.fromkeys(("upper_left", "upper_right", "lower_left", "lower_right"), (0, -80.5))},
         OutsideUtmError, r"latitude -80\.50"),
    ],
)  # fmt: skip
def test_metadata_that_disagree_with_the_name(metadata, change, error, what):
    with pytest.raises(error, match=f"some.file: .*{what}"):
        check_metadata(parse_name(metadata.name), replace(metadata, **change), PATH)


KEPT = np.array([band for band in range(224) if band not in (129, 130)], np.int32)


@pytest.mark.parametrize("change", [{"gain": 1e-3}, {"gain": 1.001e-4}, {"offset": 1.0}, {"offset": -999.0}])
def test_values_of_another_scale(metadata, change):
    """One kept band is enough; a band without data may say what it likes."""
    (name, value), same = *change.items(), {"gain": 1e-4, "offset": 0.0}
    for band in (129, 7):
        values = np.full(224, same[name])
        values[band] = value
        changed = replace(metadata, **{name: values})
        if band == 129:
            check_scale(changed, KEPT, PATH)
        else:
            with pytest.raises(MetadataMismatchError, match=r"some\.file: .*reflectance times 10000"):
                check_scale(changed, KEPT, PATH)


@pytest.mark.parametrize("gain", [np.nan, 0.0001, float(np.float32(1e-4)), 1.00002e-4])
def test_gains_that_are_none_or_rounded(metadata, gain):
    check_scale(replace(metadata, gain=np.full(224, gain), offset=np.full(224, np.nan)), KEPT, PATH)


WAIVED = [
    ({"shape": (41, 130), "west": 467085}, {}, {"size"}),
    ({"west": 467085 + 30 * 25}, {}, {"corners"}),
    ({"shape": (20, 130)}, {}, {"size", "corners"}),
]


@pytest.mark.parametrize(("raster", "change", "names"), WAIVED)
def test_checks_that_are_waived(metadata, tmp_path, raster, change, names):
    """The raster's own georeference counts, and each check is named by the message of the other."""
    with image(tmp_path, **raster) as dataset:
        for name in names:
            with pytest.raises(
                MetadataMismatchError, match=rf"type --set scan\.accept=DT0000001849_001={name}\."
            ):
                check_image(dataset, replace(metadata, **change), PATH, names - {name})
        _, box = check_image(dataset, replace(metadata, **change), PATH, names)
        assert (box.height, box.width) == dataset.shape


def test_a_latitude_may_be_waived(metadata):
    corners = dict.fromkeys(("upper_left", "upper_right", "lower_left", "lower_right"), (0, 84.5))
    check_metadata(parse_name(metadata.name), replace(metadata, corners=corners), PATH, {"latitude"})


@pytest.mark.parametrize("dtype", ["int8", "int16", "uint16", "int32", "int64"])
def test_layers_of_other_whole_numbers(dtype):
    values = np.array([[0, 3], [1, 100]], dtype)
    assert as_bytes(values, PATH).dtype == np.uint8
    assert (as_bytes(values, PATH) == values).all()
    for wrong in (-1, 256):
        if np.iinfo(dtype).min <= wrong <= np.iinfo(dtype).max:
            with pytest.raises(WrongTypeError, match=r"from -?\d+ to \d+"):
                as_bytes(np.array([[0, wrong]], dtype), PATH)


@pytest.mark.parametrize(
    ("raster", "change", "error", "what"),
    [
        ({"dtype": "float32"}, {}, WrongTypeError, "is float32, not int16"),
        ({"count": 223}, {}, BandMismatchError, "223 bands, its metadata 224"),
        ({"shape": (41, 130)}, {}, MetadataMismatchError, "41 x 130 pixels, the metadata say 40 x 130"),
        ({"epsg": 32632}, {}, MetadataMismatchError, "EPSG:32632, the metadata say UTM_Zone33_North"),
        ({"epsg": None}, {}, MetadataMismatchError, "no known coordinate system"),
        (
            {"epsg": 3035},
            {"epsg": 3035, "projection": "LAEA-ETRS89"},
            OffLatticeError,
            "LAEA-ETRS89, not UTM",
        ),
        ({"epsg": 4326}, {"epsg": 4326, "projection": "Geographic"}, OffLatticeError, "Geographic, not UTM"),
        ({"epsg": None}, {"epsg": None, "projection": "Heffalump"}, OffLatticeError, "Heffalump, not UTM"),
        ({"west": 467092}, {}, OffLatticeError, "467092, 6321105 on"),
        ({"pixel": (20, -20)}, {}, OffLatticeError, "20 x 20 m"),
        ({"turn": 1}, {}, OffLatticeError, "lattice"),
        ({"pixel": (30, 30)}, {}, OffLatticeError, "30 x -30 m"),
        ({"west": 467085 + 30 * 25}, {}, MetadataMismatchError, "25 pixels from the raster"),
        ({"north": 6321105 - 30 * 25}, {}, MetadataMismatchError, "25 pixels from the raster"),
    ],
)
def test_images_that_disagree_with_the_metadata(metadata, tmp_path, raster, change, error, what):
    with pytest.raises(error, match=re.escape(what)), image(tmp_path, **raster) as dataset:
        check_image(dataset, replace(metadata, **change), PATH)


def test_footprints_without_terrain_are_near_enough(metadata, tmp_path):
    with image(tmp_path, west=467085 + 30 * 10) as dataset:
        assert check_image(dataset, metadata, PATH)[1].col == BOX.col + 10


@pytest.mark.parametrize(
    ("other", "error"),
    [
        ({"dtype": "float32"}, WrongTypeError),
        ({"shape": (40, 129)}, MetadataMismatchError),
        ({"west": 467115}, MetadataMismatchError),
        ({"epsg": 32632}, MetadataMismatchError),
    ],
)
def test_layers_on_another_grid(tmp_path, other, error):
    (tmp_path / "layer").mkdir()
    with ExitStack() as stack:
        first = stack.enter_context(image(tmp_path))
        same = stack.enter_context(image(tmp_path / "layer", count=1, dtype="uint8"))
        check_layer(same, first, PATH)
    with (
        image(tmp_path) as first,
        image(tmp_path / "layer", **({"count": 1, "dtype": "uint8"} | other)) as layer,
        pytest.raises(error, match="layer is"),
    ):
        check_layer(layer, first, PATH)
