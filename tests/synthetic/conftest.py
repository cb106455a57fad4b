"""A small sound product, rendered once, to look at and to spoil."""

from dataclasses import replace

import numpy as np
import pytest

from spectralearth_build.overlap.lattice import Box
from spectralearth_build.synthetic.product import write_product
from spectralearth_build.synthetic.render import render
from spectralearth_build.synthetic.scene import Scene
from spectralearth_build.synthetic.sky import Sky
from spectralearth_build.synthetic.spec import ProductSpec


@pytest.fixture(scope="session")
def spec():
    return ProductSpec(box=Box(-210703, 15569, 70, 64), version="V010302", band_set="A")


@pytest.fixture(scope="session")
def inside():
    lines, cols = np.mgrid[:70, :64]
    return (lines + cols > 20) & (lines - cols < 60)


@pytest.fixture(scope="session")
def rendered(spec, inside):
    return render(Scene(5), Sky((5, 3), 0.2, size=400), spec, inside)


@pytest.fixture(scope="session")
def product(tmp_path_factory, spec, rendered):
    return write_product(tmp_path_factory.mktemp("sound"), spec, *rendered)


@pytest.fixture
def write(tmp_path, spec, rendered):
    """Write the product in another layout or with another specification."""

    def again(layout, **changes):
        return write_product(tmp_path, replace(spec, **changes), *rendered, layout)

    return again
