import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralearth_build.archive.bands import nominal
from spectralearth_build.errors import UsageError
from spectralearth_build.export.band_choice import NEAR_NM, choose

NM = nominal().wavelength_nm


def test_nothing_means_all_bands():
    assert choose(" ", NM).tolist() == list(range(202))


@given(st.floats(400, 2500))
def test_a_wavelength_means_the_nearest_band_or_an_error(nm):
    away = np.abs(NM - nm)
    if away.min() > NEAR_NM:
        with pytest.raises(UsageError, match="no band"):
            choose(repr(nm), NM)
    else:
        assert away[choose(repr(nm), NM)].tolist() == [away.min()]


def test_ranges_and_wavelengths_come_in_order_and_once():
    found = choose("2000-2100, 490,560,665, 480-500", NM)
    assert found.tolist() == sorted(set(found.tolist()))
    expected = {k for k, nm in enumerate(NM) if 480 <= nm <= 500 or 2000 <= nm <= 2100}
    expected |= {int(np.abs(NM - nm).argmin()) for nm in (490, 560, 665)}
    assert set(found.tolist()) == expected


@pytest.mark.parametrize("text", ["red", "1-2-3", "500,", "1400-1410", "900-500", "nan", "inf"])
def test_what_makes_no_sense_is_refused(text):
    with pytest.raises(UsageError, match="--bands"):
        choose(text, NM)
