"""METADATA.XML: hand-written strings, synthetic products, and hostile files."""

import pickle
import tracemalloc
from datetime import UTC, datetime

import numpy as np
import pytest

from spectralearth_build.archive import metadata_elements
from spectralearth_build.archive.metadata import epsg_of, read_metadata
from spectralearth_build.errors import (
    BandMismatchError,
    BrokenMetadataError,
    EmptyFileError,
    MissingFileError,
    ProductError,
)
from spectralearth_build.synthetic.band_sets import band_set

POINTS = {
    "upper_left": (14.6, 57.0), "lower_left": (14.5, 56.7), "lower_right": (15.0, 56.7), "upper_right": (15.1, 57.0),
    "center": (14.8, 56.85),
}  # fmt: skip


def polygon(points=POINTS) -> str:
    return "".join(
        f"<point><frame>{frame}</frame><latitude>{lat}</latitude><longitude>{lon}</longitude></point>"
        for frame, (lon, lat) in points.items()
    )


def bands(count=3) -> str:
    return "".join(
        f'<bandID number="{k}"><wavelengthCenterOfBand>{400 + k}.5</wavelengthCenterOfBand>'
        f"<FWHMOfBand>6.{k}</FWHMOfBand><GainOfBand>0.0001</GainOfBand><OffsetOfBand>0</OffsetOfBand></bandID>"
        for k in range(1, count + 1)
    )


TEXT = f"""<?xml version="1.0" encoding="UTF-8"?>
<level_X>
  <metadata><name>ENMAP01-____L2A-DT0000001849_20220720T104204Z_005_V010111_20221213T160335Z-METADATA.XML</name></metadata>
  <processing><correctionType>Combined</correctionType><waterType>Turbid</waterType>
    <cirrusHazeRemoval>Yes</cirrusHazeRemoval></processing>
  <base><level>L2A</level><revision>01.01.11</revision>
    <temporalCoverage><startTime>2022-07-20T10:42:04.123456Z</startTime><stopTime>2022-07-20T10:42:08.6Z</stopTime>
    </temporalCoverage>
    <spatialCoverage><boundingPolygon>{polygon()}
      <point><frame>upper_left</frame><latitude>57.000000001</latitude><longitude>14.6</longitude></point>
    </boundingPolygon></spatialCoverage></base>
  <specific>
    <datatakeID>0000001849</datatakeID><tileID>05</tileID>
    <widthOfOrthoScene>1268</widthOfOrthoScene><heightOfOrthoScene>1222</heightOfOrthoScene>
    <qualityFlag><overallQuality>1</overallQuality><cloudCover>72</cloudCover><snowCover>NA</snowCover></qualityFlag>
    <sunElevationAngle><upper_left>54</upper_left><center>55.310864</center></sunElevationAngle>
    <sunAzimuthAngle><center>171.079754</center></sunAzimuthAngle>
    <acrossOffNadirAngle><center>-7.8</center></acrossOffNadirAngle>
    <vnirProductQuality><expectedChannelsList>1, 3</expectedChannelsList></vnirProductQuality>
    <swirProductQuality><expectedChannelsList>2</expectedChannelsList></swirProductQuality>
    <bandCharacterisation>{bands()}</bandCharacterisation>
  </specific>
  <product><ortho><projection>UTM_Zone33_North</projection></ortho>
    <bandStatistics><bandID number="1"><mean>-1000000</mean></bandID></bandStatistics></product>
</level_X>
"""


def read(tmp_path, text):
    path = tmp_path / "METADATA.XML"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_metadata(path)


def test_every_field(tmp_path):
    metadata = read(tmp_path, TEXT)
    assert metadata.name.startswith("ENMAP01-____L2A-DT0000001849")
    assert (metadata.level, metadata.revision) == ("L2A", "01.01.11")
    assert (metadata.datatake, metadata.tile) == ("DT0000001849", 5)
    assert metadata.started == datetime(2022, 7, 20, 10, 42, 4, 123456, tzinfo=UTC)
    assert metadata.stopped == datetime(2022, 7, 20, 10, 42, 8, 600000, tzinfo=UTC)
    assert metadata.corners == POINTS
    assert (metadata.width, metadata.height) == (1268, 1222)
    assert (metadata.epsg, metadata.projection) == (32633, "UTM_Zone33_North")
    assert metadata.numbers == metadata.known == {
        "cloud_cover": 72.0, "haze_cover": None, "cirrus_cover": None, "snow_cover": None, "water_cover": None,
        "sun_elevation": 55.310864, "sun_azimuth": 171.079754, "off_nadir": -7.8, "overall_quality": 1,
    }  # fmt: skip
    assert (metadata.correction, metadata.water_type) == ("Combined", "Turbid")
    assert metadata.cirrus_haze_removal is True
    assert metadata.wavelength_nm.tolist() == [401.5, 402.5, 403.5]
    assert metadata.fwhm_nm.tolist() == [6.1, 6.2, 6.3]
    assert metadata.detector == ("VNIR", "SWIR", "VNIR")
    assert metadata.gain.tolist() == [0.0001] * 3
    assert metadata.offset.tolist() == [0.0] * 3


def test_a_namespace_changes_nothing(tmp_path):
    spaced = read(tmp_path, TEXT.replace("<level_X>", '<level_X xmlns="http://enmap.org/x">'))
    assert spaced.wavelength_nm.tolist() == [401.5, 402.5, 403.5]


def test_another_order_of_bands_and_time_zone(tmp_path):
    third, rest = bands().rsplit("<bandID", 1)[1], bands().rsplit("<bandID", 1)[0]
    text = TEXT.replace(bands(), f"<bandID{third}{rest}").replace("04.123456Z", "04.123456+02:00")
    metadata = read(tmp_path, text)
    assert metadata.wavelength_nm.tolist() == [401.5, 402.5, 403.5]
    assert metadata.started.hour == 8


def test_of_a_whole_product(make):
    folder = make(sun_elevation=-3.5, band_set="A", version="V010303")
    metadata = read_metadata(next(folder.glob("*METADATA.XML")))
    expected = band_set("A")
    assert (metadata.wavelength_nm == expected.wavelength_nm).all()
    assert (metadata.fwhm_nm == expected.fwhm_nm).all()
    assert metadata.detector == tuple(expected.detector)
    assert metadata.known["sun_elevation"] == -3.5
    assert metadata.revision == "01.03.03"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("UTM_Zone32_North", 32632), ("UTM_Zone8_South", 32708), ("UTM_Zone08_South", 32708), ("LAEA-ETRS89", 3035),
        ("Geographic", 4326), ("UTM_Zone61_North", None), ("Heffalump", None),
    ],
)  # fmt: skip
def test_projections(name, code):
    assert epsg_of(name) == code


IMPOSSIBLE = [
    ("<cloudCover>72</cloudCover>", "cloud_cover", ("-999", "-1", "100.5", "NaN", "inf", "NA", "")),
    ("<overallQuality>1</overallQuality>", "overall_quality", ("-999", "3", "NaN", "good")),
    ("<center>55.310864</center>", "sun_elevation", ("-999", "90.5", "-91")),
    ("<center>171.079754</center>", "sun_azimuth", ("-999", "361", "NaN")),
    ("<center>-7.8</center>", "off_nadir", ("-999", "99999", "")),
]


@pytest.mark.parametrize(
    ("element", "name", "text"), [(e, n, text) for e, n, texts in IMPOSSIBLE for text in texts]
)
def test_a_number_that_cannot_be_is_unknown(tmp_path, element, name, text):
    assert element in TEXT
    tag = element[1 : element.index(">")]
    metadata = read(tmp_path, TEXT.replace(element, f"<{tag}>{text}</{tag}>"))
    assert metadata.known[name] is None
    others = read(tmp_path, TEXT).known
    assert {key: value for key, value in metadata.known.items() if key != name} == {
        key: value for key, value in others.items() if key != name
    }


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("100", 100), ("0.0", 0), ("99.5", 99.5)])
def test_covers_at_their_limits_are_known(tmp_path, text, value):
    found = read(tmp_path, TEXT.replace(">72</cloudCover>", f">{text}</cloudCover>"))
    assert found.known["cloud_cover"] == value


def test_what_was_not_said_of_the_correction(tmp_path):
    silent = TEXT.replace("<correctionType>Combined</correctionType>", "").replace(">Turbid<", ">NA<")
    found = read(tmp_path, silent.replace(">Yes<", ">NA<"))
    assert (found.correction, found.water_type, found.cirrus_haze_removal) == ("", None, None)


REQUIRED = [
    "<datatakeID>0000001849</datatakeID>", "<tileID>05</tileID>", "<widthOfOrthoScene>1268</widthOfOrthoScene>",
    "<heightOfOrthoScene>1222</heightOfOrthoScene>", "<center>55.310864</center>", bands(), polygon(),
    "<projection>UTM_Zone33_North</projection>", "<startTime>2022-07-20T10:42:04.123456Z</startTime>",
    "<expectedChannelsList>2</expectedChannelsList>",
]  # fmt: skip


@pytest.mark.parametrize("element", REQUIRED)
def test_required_elements(tmp_path, element):
    assert element in TEXT
    with pytest.raises(BrokenMetadataError, match=r"METADATA\.XML: .*Download"):
        read(tmp_path, TEXT.replace(element, ""))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<longitude>14.6</longitude>", "<longitude>NaN</longitude>"),
        ("<latitude>56.7</latitude>", "<latitude>156.7</latitude>"),
        ("<center>55.310864</center>", "<center>inf</center>"),
        ("<tileID>05</tileID>", "<tileID>five</tileID>"),
        ("<datatakeID>0000001849</datatakeID>", "<datatakeID>../../x</datatakeID>"),
        ("2022-07-20T10:42:04.123456Z", "yesterday"),
        ("2022-07-20T10:42:04.123456Z", "9999-12-31T23:00:00-14:00"),
        ("2022-07-20T10:42:04.123456Z", "0001-01-01T00:00:00+14:00"),
        ('<bandID number="2">', '<bandID number="7">'),
        ('<bandID number="2">', f'<bandID number="{"9" * 5000}">'),
        ('<bandID number="2">', "<bandID>"),
        ("1, 3", "1, 2"),
        ("1, 3", "1, x"),
        ("1, 3", "0, 1"),
    ],
)
def test_nonsense(tmp_path, old, new):
    assert old in TEXT
    with pytest.raises(BrokenMetadataError):
        read(tmp_path, TEXT.replace(old, new))


def test_what_a_message_quotes_is_printable(tmp_path):
    with pytest.raises(BrokenMetadataError) as caught:
        read(tmp_path, TEXT.replace("1, 3", "1, \u202e\u2028x"))
    assert "\\u202e\\u2028x" in caught.value.what
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_channels_beyond_the_band_table(tmp_path):
    with pytest.raises(BandMismatchError, match="names band 4, but there are 3"):
        read(tmp_path, TEXT.replace("1, 3", "1, 3, 4"))


def test_missing_wavelengths_are_not_numbers(tmp_path):
    text = TEXT.replace("<wavelengthCenterOfBand>402.5</wavelengthCenterOfBand>", "")
    assert np.isnan(read(tmp_path, text).wavelength_nm).tolist() == [False, True, False]


@pytest.mark.parametrize(
    "prolog",
    [
        "<!DOCTYPE level_X>",
        '<!DOCTYPE level_X SYSTEM "file:///etc/hostname">',
        '<!DOCTYPE level_X [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>',
        '<!DOCTYPE level_X [<!ENTITY x SYSTEM "file:///etc/hostname">]>',
    ],
)
def test_declarations_are_refused(tmp_path, prolog):
    with pytest.raises(BrokenMetadataError, match="DTD"):
        read(tmp_path, TEXT.replace("<level_X>", f"{prolog}<level_X>"))


@pytest.mark.parametrize(
    "content",
    [
        TEXT[: len(TEXT) // 2],
        TEXT.replace("</base>", ""),
        TEXT.replace("level_X", "level_Y"),
        "not xml at all",
        b"\xff\xfe\x00\x01",
        TEXT.replace("UTF-8", "EBCDIC-XX"),
        TEXT.replace(
            "<level_X>", "<level_X>\udcff".encode("utf-8", "surrogatepass").decode("latin-1")
        ).encode("latin-1"),
        f"<level_X>{'<a>' * 100}{'</a>' * 100}</level_X>",
        f"<level_X>{'<a>' * 200_000}",
    ],
    ids=range(9),
)
def test_broken_files(tmp_path, content):
    with pytest.raises(BrokenMetadataError):
        read(tmp_path, content)


def test_unusable_files(tmp_path, monkeypatch):
    with pytest.raises(EmptyFileError):
        read(tmp_path, "")
    with pytest.raises(MissingFileError):
        read_metadata(tmp_path / "none.xml")
    monkeypatch.setattr(metadata_elements, "MAX_BYTES", 100)
    with pytest.raises(BrokenMetadataError, match="more than 100"):
        read(tmp_path, TEXT)


def test_memory_does_not_grow_with_the_file(tmp_path):
    filler = "<history>" + "<step><value>123</value></step>" * 60_000 + "</history>"
    path = tmp_path / "METADATA.XML"
    path.write_text(TEXT.replace("</level_X>", f"{filler}</level_X>"))
    tracemalloc.start()
    read_metadata(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert path.stat().st_size > 1.8e6
    assert peak < 0.5e6


def test_any_damage_ends_in_a_class_of_ours(tmp_path):
    rng = np.random.default_rng(1)
    for _ in range(150):
        content = bytearray(TEXT.encode())
        for place in rng.integers(0, len(content), 3):
            content[place] = rng.integers(0, 256)
        try:
            read(tmp_path, bytes(content))
        except ProductError as error:
            assert "METADATA.XML" in str(error)  # noqa: PT017
