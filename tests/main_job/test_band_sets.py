"""Three band sets in one archive: the same 202 wavelengths from all of them, which dropping by index does not give."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from spectralearth_build.archive.bands import nominal
from spectralearth_build.overlap.lattice import Box
from spectralearth_build.synthetic.band_sets import band_set
from spectralearth_build.synthetic.product import write_product
from spectralearth_build.synthetic.spec import Layers, ProductSpec

TOLERANCE_NM = 0.4
"""Sets A, B and C differ by at most 0.35 nm where they have the same band."""
DROPPED = {*range(127, 142), *range(161, 168)}
SIZE = 130


def ramp(name):
    """A spectrum that says its own wavelength: DN = nm, the same for every pixel; SWIR one more than VNIR."""
    bands = band_set(name)
    value = np.round(bands.wavelength_nm).astype(np.int16)
    return np.broadcast_to(value[:, None, None], (224, SIZE, SIZE)).copy()


@pytest.fixture(scope="module")
def dataset(build, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bands")
    base = ProductSpec(box=Box(-183_000, 15_600, SIZE, SIZE))
    for number, name in enumerate("ABC", start=1):
        spec = replace(
            base, band_set=name, datatake=f"DT{number:010d}", started=base.started + timedelta(days=number)
        )
        write_product(folder, spec, ramp(name), Layers.clear((SIZE, SIZE)))
    return build(folder, tmp_path_factory.mktemp("dataset"))


def test_all_dates_have_the_nominal_wavelengths(dataset):
    series = dataset.series(dataset.locations["location_id"][0])
    assert series.shape == (3, 202, 128, 128)
    stored = series.to_numpy()[:, :, 0, 0]
    assert np.abs(stored - nominal().wavelength_nm).max() <= TOLERANCE_NM + 0.5  # DN are whole nm
    for date, name in enumerate("ABC"):
        actual = dataset.patch(dataset.locations["location_id"][0], series["date"].to_numpy()[date])
        assert np.abs(actual["wavelength_nm"].to_numpy() - nominal().wavelength_nm).max() <= TOLERANCE_NM
        assert set(np.round(actual["wavelength_nm"].to_numpy(), 3)) <= set(
            np.round(band_set(name).wavelength_nm, 3)
        )


def test_dropping_by_index_would_be_eleven_nanometres_off():
    kept = [band for band in range(224) if band + 1 not in DROPPED]
    off = np.abs(band_set("C").wavelength_nm[kept] - band_set("B").wavelength_nm[kept])
    assert (off > 10).sum() == 19
    assert np.flatnonzero(off > 10).tolist() == list(range(126, 145))
