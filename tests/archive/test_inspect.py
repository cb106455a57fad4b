"""What is read of one product, against the arrays it was made of."""

import json

import numpy as np
import pytest
import rasterio
import shapely

from spectralearth_build import mask
from spectralearth_build.archive.inspect import identify, inspect_product
from spectralearth_build.archive.names import parse_name
from spectralearth_build.archive.product import open_product
from spectralearth_build.config import ScanConfig
from spectralearth_build.errors import (
    BandMismatchError,
    BrokenMetadataError,
    HoleError,
    NoValidPixelError,
    ProductError,
)
from spectralearth_build.overlap.lattice import Box
from spectralearth_build.synthetic.pack import pack, pack_order
from spectralearth_build.synthetic.product import Layout, ProductSpec

BOX = Box(-210703, 15569, 40, 130)


def inspect(place, validity="all-bands", **settings):
    root = next(parent for parent in place.parents if parent.name == "archive")
    path = str(place.relative_to(root))
    with open_product(root, path) as product:
        return inspect_product(
            product, product.name or parse_name(path), ScanConfig(validity=validity, **settings)
        )


def change(folder, layer, edit):
    path = next(folder.glob(f"*{layer}*"))
    with rasterio.open(path, "r+") as raster:
        values = raster.read()
        raster.write(edit(values))


def test_facts_and_mask(make, scene):
    row, coded = inspect(make(sun_elevation=41.5, overall_quality=1, across_off_nadir=-12.5))
    json.dumps(row)
    assert row["product_id"] == ProductSpec().product_id
    assert (row["epsg"], row["lattice_col"], row["lattice_row"]) == (32633, 15569, 210703)
    assert (row["height"], row["width"]) == (40, 130)
    assert (row["sun_elevation"], row["overall_quality"], row["off_nadir"]) == (41.5, 1, -12.5)
    assert row["acquired"] == "2024-07-08T10:44:07.036933+00:00"
    assert len(row["band_index"]) == len(row["wavelength_nm"]) == len(row["fwhm_nm"]) == 202
    assert row["band_deviation_nm"] == 0
    cube, layers = scene(ProductSpec(box=BOX))
    valid = layers.inside & (cube[row["band_index"]] != -32768).all(axis=0)
    assert row["valid_fraction"] == pytest.approx(valid.mean())
    assert ((coded & mask.VALID > 0) == valid).all()
    flags = {
        mask.CLOUD: layers.cloud,
        mask.SHADOW: layers.shadow,
        mask.HAZE: layers.haze,
        mask.SNOW: layers.snow,
    }
    for bit, layer in flags.items():
        assert ((coded & bit > 0) == (valid & (layer == 1))).all()
    assert ((coded & mask.CIRRUS) >> mask.CIRRUS_SHIFT == np.where(valid, layers.cirrus, 0)).all()
    assert ((coded & mask.WATER > 0) == (valid & (layers.classes == 2))).all()
    assert row["cloud_cover"] == layers.percent(layers.cloud > 0)
    area = shapely.from_wkb(row["geometry"])
    assert area.contains(shapely.Point(14.475, 57.026))


def test_missing_pixels_of_a_kept_band_are_not_valid(make):
    folder = make()
    change(
        folder, "SPECTRAL_IMAGE", lambda cube: np.where(np.arange(40)[:, None] < 10, np.int16(-32768), cube)
    )
    _, coded = inspect(folder)
    assert not coded[:10].any()
    assert coded[10:].any()
    _, trusting = inspect(folder, validity="classes")
    assert trusting[:10].any()


@pytest.mark.parametrize("kept", [False, True])
def test_one_empty_band(make, kept):
    folder = make()

    def empty(cube):
        cube[50 if kept else 128] = -32768
        return cube

    change(folder, "SPECTRAL_IMAGE", empty)
    if kept:
        with pytest.raises(
            NoValidPixelError, match=r"SPECTRAL_IMAGE\.TIF: Kept bands without any data: 51\."
        ):
            inspect(folder)
    else:
        assert inspect(folder)[1].any()


def test_outside_the_swath_nothing_counts(make):
    folder = make()
    change(folder, "CLASSES", lambda classes: np.full_like(classes, 3))
    with pytest.raises(NoValidPixelError, match="inside the swath"):
        inspect(folder)


@pytest.mark.slow
@pytest.mark.parametrize("validity", ["all-bands", "classes"])
def test_folder_zip_order_and_layout_give_one_fingerprint(make, validity):
    folder = make()
    zipped = pack(folder, keep=True)
    order = pack_order([zipped], folder.parent / "order.tar.gz", keep=True)
    cog = make(into=folder.parent / "cog", layout=Layout(cog=True, block=128, suffix="_COG.TIF"))
    bare = make(
        into=folder.parent / "bare", layout=Layout(prefixed=False, interleave="pixel", compress="lzw")
    )
    results = [inspect(p, validity=validity) for p in (folder, zipped, cog, bare)]
    root = folder.parent
    with open_product(root, f"{order.name}!{zipped.name}") as product:
        results.append(inspect_product(product, product.name, ScanConfig(validity=validity)))
    assert len(results) == 5
    contents = [row.pop("content") for row, _ in results]
    folder_, zip_, cog_, bare_, order_ = contents
    assert folder_ == zip_ == order_  # the same files
    assert len({folder_, cog_, bare_}) == 3  # the same pixels in other files
    for row, coded in results[1:]:
        assert row == results[0][0]
        assert (coded == results[0][1]).all()


@pytest.mark.slow
def test_any_change_changes_the_fingerprint(make):
    prints = [inspect(make(into=make().parent / name, **facts))[0]["fingerprint"] for name, facts in {
        "same": {}, "again": {}, "seed": {"seed": 1}, "sun": {"sun_elevation": 50.0}, "set": {"band_set": "B"},
        "version": {"version": "V010503"}, "place": {"box": Box(-210702, 15569, 40, 130)},
    }.items()]  # fmt: skip
    assert prints[0] == prints[1]
    assert len(set(prints)) == 6
    folder = make()
    before = inspect(folder)[0]["fingerprint"]

    def nudge(cube):
        cube[60, 20, 60] += 1
        return cube

    change(folder, "SPECTRAL_IMAGE", nudge)
    assert inspect(folder)[0]["fingerprint"] != before


def test_where_cut_checks_the_pixels_samples_of_the_image_are_in_the_fingerprint(make):
    folder = make()
    zipped = pack(folder, keep=True)
    cog = make(into=folder.parent / "cog", layout=Layout(cog=True, block=128, suffix="_COG.TIF"))
    all_bands = inspect(folder)[0]["fingerprint"]
    here, there, other = (inspect(p, validity="at-cut")[0]["fingerprint"] for p in (folder, zipped, cog))
    assert here == there
    assert here[:64] == other[:64] != all_bands
    assert here != other
    assert len(here) == 80
    change(folder, "SPECTRAL_IMAGE", lambda cube: cube + np.int16(1))
    now = inspect(folder, validity="at-cut")[0]["fingerprint"]
    assert now[:64] == here[:64]
    assert now != here


def test_wavelength_tolerance_comes_from_the_settings(make):
    folder = make(band_set="A")
    assert inspect(folder)[0]["band_deviation_nm"] == pytest.approx(0.37)
    with pytest.raises(BandMismatchError, match=r"METADATA\.XML: No .* band within 0\.2 nm"):
        inspect(folder, band_tolerance_nm=0.2)


def test_names_from_metadata(make):
    folder = make(layout=Layout(prefixed=False))
    nameless = folder.rename(folder.with_name("nameless"))
    with open_product(folder.parent, "nameless") as product:
        assert product.name is None
        assert identify(product) == parse_name(folder.name)
    path = nameless / "METADATA.XML"
    path.write_text(path.read_text().replace("<name>ENMAP01", "<name>somewhat", 1))
    with open_product(folder.parent, "nameless") as product, pytest.raises(BrokenMetadataError, match="name"):
        identify(product)


def test_missing_layers_are_noticed_before_the_image_is_read(make, monkeypatch):
    folder = make()
    next(folder.glob("*SNOW*")).unlink()
    monkeypatch.setattr(
        "spectralearth_build.archive.inspect.inspect_image", lambda *_: pytest.fail("was read")
    )
    with pytest.raises(ProductError, match="has no SNOW"):
        inspect(folder)


def test_fingerprints_are_those_of_earlier_versions(make):
    """Plans that were made before holes had names hold these: sound tiles must not look changed."""
    folder = make()
    prints = {
        validity: inspect(folder, validity=validity)[0]["fingerprint"]
        for validity in ("all-bands", "classes")
    }
    assert prints == {
        "all-bands": "b30e97f67fa1ca369ed212eaa8682ce2aff50aa249ddefad8bb5c330062890ce",
        "classes": "7b8fab0778a4a2631b6eb60fd8b587006144759e1044b8eeb213640987bd7cac",
    }


def test_a_hole_costs_its_pixels(make):
    folder = make()
    sound, before = inspect(folder)
    change(folder, "SPECTRAL_IMAGE", lambda cube: np.where((np.arange(40) < 10)[:, None], np.int16(0), cube))
    row, coded = inspect(folder)
    inside = before > 0  # in this product every pixel of the swath is valid
    assert not coded[:10].any()
    assert (coded[11:] == before[11:]).all()
    assert row["hole_fraction"] == (inside & (coded == 0)).sum() / inside.sum() > 0.2
    assert row["valid_fraction"] == (coded > 0).mean()
    assert row["fingerprint"] != sound["fingerprint"]
    assert (sound["hole_fraction"], "accepted" in sound) == (0, False)
    assert inspect(folder, validity="classes")[0]["hole_fraction"] is None
    taken, coded = inspect(folder, accept=["DT0000001849_001=hole"])
    assert (coded == before).all()
    assert (taken["accepted"], taken["hole_fraction"]) == ("hole", row["hole_fraction"])
    assert taken["fingerprint"] not in (row["fingerprint"], sound["fingerprint"])


def test_nothing_but_a_hole(make):
    folder = make()
    change(folder, "SPECTRAL_IMAGE", np.zeros_like)
    with pytest.raises(
        HoleError, match=r"IMAGE\.TIF: No pixel is usable.*scan\.accept=DT0000001849_001=hole"
    ):
        inspect(folder)
    assert inspect(folder, accept=["DT0000001849_001"])[1].any()


def test_wider_tolerance_for_one_tile(make):
    folder = make(band_set="A")
    for accept, fits in ((["DT0000001849_001=bands"], True), (["DT0000001849_002=bands"], False)):
        if fits:
            assert inspect(folder, band_tolerance_nm=0.2, accept=accept)[0]["accepted"] == "bands"
        else:
            with pytest.raises(BandMismatchError):
                inspect(folder, band_tolerance_nm=0.2, accept=accept)


def test_layers_of_another_type(make):
    folder = make()
    row, coded = inspect(folder)
    path = next(folder.glob("*CLASSES*"))
    with rasterio.open(path) as raster:
        values, profile = raster.read(), raster.profile
    with rasterio.open(path, "w", **{**profile, "dtype": "int16"}) as raster:
        raster.write(values.astype(np.int16))
    again, same = inspect(folder)
    assert again["fingerprint"] == row["fingerprint"]
    assert (same == coded).all()
