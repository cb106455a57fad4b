"""Identity, place and layers of a product, against a real catalogue item and literal numbers."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from spectralearth_build.archive.names import parse_name
from spectralearth_build.overlap.lattice import Box
from spectralearth_build.synthetic.spec import Layers, Layout, ProductSpec

REAL = "ENMAP01-____L2A-DT0000140097_20250708T104407Z_001_V010502_20250709T035921Z"


@pytest.fixture
def real():
    """The item of that name: its zone, size and transform."""
    return ProductSpec(
        datatake="DT0000140097",
        started=datetime(2025, 7, 8, 10, 44, 7, 36933, tzinfo=UTC),
        processed=datetime(2025, 7, 9, 3, 59, 21, tzinfo=UTC),
        box=Box(-210703, 15569, 1222, 1268),
    )


def test_name_is_the_real_one(real):
    assert real.product_id == REAL
    assert real.tile_id == "DT0000140097_001"
    assert replace(real, level="L0").product_id.startswith("ENMAP01-_____L0-DT")


def test_name_is_understood_by_the_reader(real):
    name = parse_name(replace(real, tile=17).product_id)
    assert name is not None
    assert (name.tile_id, name.version, name.level) == ("DT0000140097_017", "V010502", "L2A")


def test_raster_is_where_the_item_says(real):
    assert real.box.bounds == (467085, 6284445, 505125, 6321105)
    assert real.projection == "UTM_Zone33_North"
    assert replace(real, epsg=32750).projection == "UTM_Zone50_South"
    corners = np.array(real.footprint())
    assert corners[0] == pytest.approx((14.4575, 57.0317), abs=2e-3)
    assert corners[2] == pytest.approx((15.0838, 56.7040), abs=2e-3)


def test_an_inner_tile_takes_four_and_a_half_seconds(real):
    assert (real.stopped - real.started).total_seconds() == pytest.approx(4.535)


def test_layers_count_only_what_is_inside():
    inside = np.zeros((10, 10), bool)
    inside[:, :5] = True
    layers = Layers.clear((10, 10), inside)
    cloud = np.zeros((10, 10), np.uint8)
    cloud[0] = 1
    assert (layers.classes == 3).sum() == 50
    assert replace(layers, cloud=cloud).percent(cloud > 0) == 10
    assert (Layers.clear((3, 3), water=True).classes == 2).all()


def test_layout_names():
    assert Layout().name("X", "QL_SWIR") == "X-QL_SWIR.TIF"
    assert Layout(suffix="_COG.TIF").name("X", "SPECTRAL_IMAGE") == "X-SPECTRAL_IMAGE_COG.TIF"
    assert Layout(prefixed=False, metadata_suffix=".xml").name("X", "METADATA") == "METADATA.xml"
