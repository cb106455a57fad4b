"""What is said of products that others have worked on can be followed: a new download would not help."""

import re

import pytest
import rasterio

from spectralearth_build import errors
from spectralearth_build.archive.scan import scan
from spectralearth_build.cluster.inline import InlineExecutor
from spectralearth_build.config import Config

CROP = (slice(2, 32), slice(3, 63))


def rewritten(path, part=(slice(None), slice(None)), **changes):
    """The same raster, cut or with another profile, as a user's script would write it."""
    with rasterio.open(path) as source:
        values, grid, profile = source.read()[:, *part], source.transform, dict(source.profile)
    first = part[0].start or 0, part[1].start or 0
    place = grid.a, 0, grid.c + first[1] * grid.a, 0, grid.e, grid.f + first[0] * grid.e
    profile |= {"height": values.shape[1], "width": values.shape[2], "transform": rasterio.Affine(*place)}
    with rasterio.open(path, "w", **profile | changes) as target:
        target.write(values.astype(changes.get("dtype", values.dtype)))


def crop_image(folder):
    rewritten(next(folder.glob("*SPECTRAL_IMAGE*")), CROP)


def crop_all(folder):
    for path in folder.glob("*.TIF"):
        rewritten(path, CROP)


def crop_layer(folder):
    rewritten(next(folder.glob("*QUALITY_CLOUD.TIF")), CROP)


def reproject(folder):
    rewritten(next(folder.glob("*SPECTRAL_IMAGE*")), crs="EPSG:3857")


def as_float(folder):
    rewritten(next(folder.glob("*SPECTRAL_IMAGE*")), dtype="float32")


def as_envi(folder):
    image = next(folder.glob("*SPECTRAL_IMAGE*"))
    image.rename(image.with_suffix(".BSQ")).with_suffix(".HDR").write_text("ENVI")


def mixed(folder):
    metadata = next(folder.glob("*METADATA*"))
    text = metadata.read_text()
    metadata.write_text(re.sub(r"<tileID>\d+</tileID>", "<tileID>77</tileID>", text))


def without_layer(folder):
    next(folder.glob("*QUALITY_HAZE*")).unlink()


@pytest.mark.parametrize(
    ("harm", "kind", "said"),
    [
        (crop_image, "MetadataMismatchError", "it looks like a crop. Use the product as delivered"),
        (crop_all, "MetadataMismatchError", "it looks like a crop. Use the product as delivered"),
        (
            crop_layer,
            "MetadataMismatchError",
            "Use all files of the product as delivered. Do not crop or reproject any",
        ),
        (reproject, "MetadataMismatchError", "Use the product as delivered, not a reprojected copy"),
        (as_float, "WrongTypeError", "not a copy that was converted or made by another processor"),
        (
            as_envi,
            "MissingFileError",
            "Order the product as GeoTIFF. Output of ENVI, EnPT, ACOLITE and other software",
        ),
        (mixed, "MetadataMismatchError", "Put each product into its own folder"),
        (
            without_layer,
            "MissingFileError",
            "has no HAZE. Put the missing file there, or download the product again.",
        ),
    ],
)
def test_scan_says_what_helps(make, tmp_path, harm, kind, said):
    harm(make())
    frame = scan(tmp_path / "archive", tmp_path / "dataset", Config(), InlineExecutor())
    assert frame["error_class"].tolist() == [kind], frame["reason"].tolist()
    assert said in frame["reason"].iloc[0]
    assert ("ownload" in frame["reason"].iloc[0]) == (harm is without_layer)


def test_every_class_has_a_remedy_of_its_own_kind():
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, errors.BuildError) and kind is not errors.BuildError:
            assert kind.remedy != errors.BuildError.remedy, kind
            assert re.fullmatch(r"[A-Z`].*[.]", kind.remedy), kind
