"""Band selection, against the band sets of real products and against dropping bands by number."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import spectralearth_build.archive
from spectralearth_build.archive.bands import nominal, select_bands
from spectralearth_build.errors import BandMismatchError
from spectralearth_build.synthetic.band_sets import band_set

DROPPED_BY_NUMBER = [*range(126, 141), *range(160, 167)]
KEPT_BY_NUMBER = np.delete(np.arange(224), DROPPED_BY_NUMBER)


def select(name, tolerance=1.0):
    bands = band_set(name)
    return select_bands(bands.wavelength_nm, bands.fwhm_nm, list(bands.detector), tolerance)


def test_the_nominal_table():
    table = nominal()
    assert table.wavelength_nm.shape == table.fwhm_nm.shape == (202,)
    assert (np.diff(table.wavelength_nm) > 0).all()
    assert (table.wavelength_nm[0], table.wavelength_nm[201]) == (418.416, 2445.3)
    assert (table.fwhm_nm[0], table.fwhm_nm[201]) == (6.99561, 7.1581)  # from the catalogue items
    assert (table.detector.count("VNIR"), table.detector.count("SWIR")) == (91, 111)
    gap = table.wavelength_nm[1:][np.diff(table.wavelength_nm) > 20]
    assert gap.tolist() == [1530.29, 1977.08]  # the two water-vapour gaps


def test_the_published_copy_is_the_same_file():
    packaged = Path(spectralearth_build.archive.__file__).with_name("nominal_bands.csv")
    published = Path(__file__).parents[2] / "data_manifests" / "enmap_202_bands.csv"
    assert packaged.read_bytes() == published.read_bytes()


@pytest.mark.parametrize(("name", "deviation"), [("A", 0.371), ("B", 0.0), ("C", 0.0)])
def test_every_band_set_gives_the_nominal_wavelengths(name, deviation):
    selection, bands = select(name), band_set(name)
    assert np.abs(selection.deviation_nm).max() <= deviation
    assert len(set(selection.index.tolist())) == 202
    assert (bands.wavelength_nm[selection.index] == selection.wavelength_nm).all()
    assert (bands.fwhm_nm[selection.index] == selection.fwhm_nm).all()
    assert tuple(bands.detector[selection.index]) == nominal().detector


@pytest.mark.parametrize("name", ["A", "B"])
def test_the_202_rule_of_the_early_sets(name):
    assert sorted(select(name).index.tolist()) == KEPT_BY_NUMBER.tolist()


def test_dropping_by_number_is_wrong_in_set_c():
    by_number = band_set("C").wavelength_nm[KEPT_BY_NUMBER] - nominal().wavelength_nm
    assert (np.abs(by_number) > 10).sum() == 19
    assert np.flatnonzero(by_number).tolist() == list(range(126, 145))
    assert np.abs(select("C").deviation_nm).max() == 0


def test_in_set_a_detectors_swap_places():
    index = select("A").index
    assert index[81:83].tolist() == [82, 81]
    assert (np.diff(index) < 0).sum() == 2


@settings(max_examples=20, deadline=None)
@given(order=st.permutations(range(224)))
def test_any_order_of_bands_gives_the_same_wavelengths(order):
    bands = band_set("B")
    shuffled = select_bands(
        bands.wavelength_nm[order], bands.fwhm_nm[order], [bands.detector[i] for i in order], 1.0
    )
    assert (shuffled.wavelength_nm == select("B").wavelength_nm).all()
    assert (np.asarray(order)[shuffled.index] == select("B").index).all()


def test_tolerance_is_obeyed():
    with pytest.raises(BandMismatchError, match=r"VNIR band within 0\.1 nm of 418\.416 nm .*0\.18 nm away"):
        select("A", tolerance=0.1)


@pytest.mark.parametrize("change", ["missing", "detector", "nan", "twice", "length"])
def test_bad_band_tables(change):
    bands = band_set("C")
    wavelength, fwhm, detector = bands.wavelength_nm.copy(), bands.fwhm_nm, list(bands.detector)
    if change == "missing":
        wavelength, fwhm, detector = wavelength[1:], fwhm[1:], detector[1:]
    elif change == "detector":
        detector = ["SWIR"] * 224
    elif change == "nan":
        wavelength[5] = np.nan
    elif change == "twice":
        wavelength[6] = wavelength[5]
    else:
        wavelength = wavelength[:-1]
    with pytest.raises(BandMismatchError):
        select_bands(wavelength, fwhm, detector, 1.0)


def test_a_doubled_wavelength_is_not_chosen_silently():
    bands = band_set("C")
    wavelength = np.append(bands.wavelength_nm, bands.wavelength_nm[5])
    with pytest.raises(BandMismatchError, match="share one wavelength"):
        select_bands(wavelength, np.append(bands.fwhm_nm, 6.0), [*bands.detector, bands.detector[5]], 1.0)
