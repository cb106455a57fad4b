"""Product folders, read back with tifffile, which knows nothing of GDAL."""

from dataclasses import replace

import numpy as np
import pytest
import rasterio
import tifffile

from spectralearth_build.synthetic.product import LAYERS, write_product
from spectralearth_build.synthetic.spec import Layers, Layout

COMPRESSION = {"deflate": 8, "none": 1}


def read(product, layer):
    """Pixels [band, line, col] or [line, col], the first page, and its tags."""
    with tifffile.TiffFile(next(path for path in product.iterdir() if layer in path.name)) as file:
        page = file.pages[0]
        pixels = page.asarray()
        tags = {tag.name: tag.value for tag in page.tags} | {"geo": page.geotiff_tags}
        return (
            (pixels if page.planarconfig == 2 or pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)),
            page,
            tags,
        )


def test_files_and_names(product, spec):
    assert product.name == spec.product_id
    expected = {f"{spec.product_id}-{layer}.TIF" for layer in LAYERS}
    expected |= {f"{spec.product_id}-{name}.XML" for name in ("METADATA", "HISTORY")}
    assert {path.name for path in product.iterdir()} == expected
    assert len(expected) == 13


def test_image_is_exact_and_on_the_lattice(product, rendered, spec):
    pixels, page, tags = read(product, "SPECTRAL_IMAGE")
    np.testing.assert_array_equal(pixels, rendered[0])
    assert pixels.dtype == np.int16
    assert (page.compression, page.planarconfig, page.is_tiled) == (8, 2, False)
    assert int(tags["GDAL_NODATA"]) == -32768
    west, _, _, north = spec.box.bounds
    assert tags["ModelTiepointTag"][3:5] == (west, north)
    assert west % 30 == north % 30 == 15
    assert tags["ModelPixelScaleTag"][:2] == (30, 30)
    assert tags["geo"]["ProjectedCSTypeGeoKey"] == spec.epsg


@pytest.mark.parametrize(
    "layout",
    [
        Layout(compress="none", interleave="pixel"),
        Layout(interleave="pixel"),
        Layout(block=32),
        Layout(block=32, interleave="pixel"),
        Layout(cog=True, block=128, suffix="_COG.TIF"),
        Layout(prefixed=False, metadata_suffix=".xml"),
    ],
)
def test_layouts_hold_the_same_pixels(write, layout, rendered):
    pixels, page, _ = read(write(layout), "SPECTRAL_IMAGE")
    np.testing.assert_array_equal(pixels, rendered[0])
    assert page.compression == COMPRESSION[layout.compress]
    assert page.is_tiled == bool(layout.block)
    if not layout.cog:
        assert page.planarconfig == (1 if layout.interleave == "pixel" else 2)


@pytest.mark.parametrize(("layout", "code"), [(Layout(compress="lzw"), 5), (Layout(compress="zstd"), 50000)])
def test_other_compressions_hold_the_same_pixels(write, layout, code, rendered):
    path = next(write(layout).glob("*SPECTRAL_IMAGE.TIF"))
    with tifffile.TiffFile(path) as file:
        assert file.pages[0].compression == code
    with rasterio.open(path) as source:  # tifffile needs an extension for these two
        np.testing.assert_array_equal(source.read(), rendered[0])


def test_quality_layers(product, rendered):
    _, layers = rendered
    for name in ("CIRRUS", "CLASSES", "CLOUD", "HAZE", "SNOW", "TESTFLAGS"):
        pixels, _, tags = read(product, f"QL_QUALITY_{name}.")
        np.testing.assert_array_equal(pixels, getattr(layers, name.lower()))
        assert ("GDAL_NODATA" in tags) == (name == "CLASSES")
    np.testing.assert_array_equal(read(product, "CLOUDSHADOW")[0], layers.shadow)
    assert set(np.unique(layers.classes)) <= {1, 2, 3}


def test_pixelmask_marks_bands_without_data(product, rendered, inside):
    mask, _, _ = read(product, "PIXELMASK")
    assert mask.shape == (224, 70, 64)
    assert (mask[:, ~inside] == 255).all()
    assert (mask[129:135, inside] == 1).all()
    assert (mask[:129, inside] == 0).all()


def test_quicklooks_are_opaque_inside_only(product, inside):
    for layer in ("QL_VNIR", "QL_SWIR"):
        colours, _, _ = read(product, layer)
        assert colours.shape == (4, 70, 64)
        np.testing.assert_array_equal(colours[3] == 255, inside)
        assert colours[:3, inside].std() > 5
        assert (colours[:, ~inside] == 0).all()


def test_own_pixelmask_is_kept(tmp_path, spec, rendered):
    cube, layers = rendered
    mask = np.random.default_rng(0).integers(0, 2, cube.shape, np.uint8)
    product = write_product(tmp_path, spec, cube, replace(layers, pixelmask=mask))
    np.testing.assert_array_equal(read(product, "PIXELMASK")[0], mask)


def test_same_bytes_twice(tmp_path, spec, rendered):
    first, second = (write_product(tmp_path / name, spec, *rendered) for name in "ab")
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes()


def test_wrong_shape_is_refused(tmp_path, spec):
    with pytest.raises(ValueError, match="specification"):
        write_product(tmp_path, spec, np.zeros((224, 8, 8), np.int16), Layers.clear((8, 8)))
