"""The three band sets, against literal numbers and the table of nominal bands that another module keeps."""

import numpy as np
import pytest

from spectralearth_build.archive.bands import nominal
from spectralearth_build.synthetic.band_sets import band_set, nodata_bands


@pytest.mark.parametrize("name", ["A", "B", "C"])
def test_set_is_sorted_and_complete(name):
    bands = band_set(name)
    assert bands.wavelength_nm.shape == bands.fwhm_nm.shape == (224,)
    assert (np.diff(bands.wavelength_nm) > 0).all()
    assert len(bands.channels("VNIR")) == 91
    assert sorted(bands.channels("VNIR") + bands.channels("SWIR")) == list(range(1, 225))
    assert 5 < bands.fwhm_nm.min() < bands.fwhm_nm.max() < 15


def test_what_tells_the_sets_apart():
    a, b, c = (band_set(name) for name in "ABC")
    assert (a.wavelength_nm[0], b.wavelength_nm[0], c.wavelength_nm[0]) == (418.24, 418.416, 418.416)
    changed = {i + 1 for i in np.flatnonzero(a.detector != b.detector)}
    assert changed == {82, 83, 100, 101}
    assert set(c.wavelength_nm) - set(b.wavelength_nm) == {1449.43, 1769.89, 1780.22}
    assert set(b.wavelength_nm) - set(c.wavelength_nm) == {1939.14, 1948.69, 1958.2}


def test_nominal_bands_are_bands_of_set_c():
    c, expected = band_set("C"), nominal()
    kept = np.searchsorted(c.wavelength_nm, expected.wavelength_nm)
    assert len(set(kept)) == 202
    np.testing.assert_array_equal(c.wavelength_nm[kept], expected.wavelength_nm)
    np.testing.assert_array_equal(c.fwhm_nm[kept], expected.fwhm_nm)
    assert list(c.detector[kept]) == list(expected.detector)


def test_nodata_bands_by_version():
    assert [band + 1 for band in nodata_bands("V010110")] == [*range(127, 142), *range(161, 168)]
    assert [band + 1 for band in nodata_bands("V010302")] == list(range(130, 136))
