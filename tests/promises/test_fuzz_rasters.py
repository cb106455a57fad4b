"""Hostile GeoTIFFs: headers, directories and blocks with other values, other formats under their name."""

import struct

import pytest
from hypothesis import strategies as st

from tests.support import fuzz_targets as targets
from tests.support.watched import Watched, attack

PARTS = ("SPECTRAL_IMAGE", "QUALITY_CLASSES")
INTERESTING = [
    0,
    1,
    2,
    3,
    4,
    5,
    7,
    8,
    12,
    16,
    17,
    32,
    64,
    224,
    255,
    256,
    4095,
    32768,
    65535,
    65536,
    2**20,
    2**31 - 1,
]
INTERESTING += [
    2**31,
    2**32 - 2,
    2**32 - 1,
    259,
    273,
    277,
    279,
    322,
    324,
    330,
    339,
    347,
    33550,
    34735,
    34887,
    42112,
]


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """The folder to work in, and the sound rasters by layout and part."""
    folder = tmp_path_factory.mktemp("rasters") / "inside"
    rasters = {}
    for name, layout in targets.LAYOUTS.items():
        product = targets.sound_product(folder / "sound" / name, layout)
        for part in PARTS:
            rasters[name, part] = next(product.glob(f"*{part}*")).read_bytes()
    return folder, rasters


@pytest.fixture(scope="module")
def watched(sound):
    process = Watched(targets.read_changed_file, sound[0])
    yield process
    process.close()


def test_fuzz_headers(fuzz_trials, watched, sound):
    """150 in CI: fields of the header and of directories changed, tables of blocks, blocks; files cut."""
    rasters = sound[1]
    spots = {key: _fields(data) for key, data in rasters.items()}
    assert all(len(found) > 50 for found in spots.values())

    @st.composite
    def cases(draw):
        key = draw(st.sampled_from(sorted(rasters)))
        edits = []
        for _ in range(draw(st.integers(1, 4))):
            if draw(st.integers(0, 3)):
                place, size = draw(st.sampled_from(spots[key]))
                value = draw(st.sampled_from(INTERESTING) | st.integers(0, 2**32 - 1))
                edits.append((place, struct.pack("<Q", value)[:size]))
            else:
                edits.append(
                    (draw(st.integers(0, len(rasters[key]))), draw(st.binary(min_size=1, max_size=8)))
                )
        keep = draw(st.sampled_from([1.0] * 6 + [0.999, 0.5, 0.02, 1e-4]))
        return *key, targets.edited(rasters[key], edits, keep) or b"II"

    print(
        f"{attack(cases(), watched.read, fuzz_trials or 150, bool(fuzz_trials))} rasters:", watched.summary()
    )


def test_fuzz_other_formats(watched, sound, baits):
    """Files of other formats, which name files and servers, are no GeoTIFFs whatever their name."""
    pipe, url = baits.pipe, baits.url
    source = "<VRTDataset rasterXSize='20' rasterYSize='16'><VRTRasterBand dataType='Int16' band='1'>"
    texts = [
        *(
            f"{source}<SimpleSource><SourceFilename>{name}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"
            for name in (pipe, f"/vsicurl/{url}", f"/vsizip/{pipe}", f"GTIFF_DIR:1:{pipe}", "/etc/passwd")
        ),
        f"<GDAL_WMS><Service name='TMS'><ServerUrl>{url}</ServerUrl></Service></GDAL_WMS>",
        f"<WCS_GDAL><ServiceURL>{url}</ServiceURL><CoverageName>a</CoverageName></WCS_GDAL>",
        f"<GDALTileIndexDataset><IndexDataset>{pipe}</IndexDataset></GDALTileIndexDataset>",
        f'{{"type": "FeatureCollection", "stac_version": "1.0.0", "features": [{{"href": "{url}"}}]}}',
        f"DatasetHeader Begin\n  RasterInfo Begin\n  {pipe}\n", f"ENVI\ndata file = {pipe}\n", str(pipe), url,
        f"vrt://{pipe}", f"/vsicurl/{url}", f"[general]\nsource={pipe}\n",
    ]  # fmt: skip
    for part in (*PARTS, "QUALITY_CLOUDSHADOW"):
        for text in texts:
            watched.read(("strips", part, text.encode()))
    baits.check()


def _fields(data: bytes) -> list[tuple[int, int]]:
    """Place and size of each field of the header, of directories, and of the tables that these name."""
    spots = [(0, 2), (2, 2), (4, 4)]
    place = struct.unpack_from("<I", data, 4)[0]
    while place and len(spots) < 2000:
        spots.append((place, 2))
        count = struct.unpack_from("<H", data, place)[0]
        for entry in range(place + 2, place + 2 + 12 * count, 12):
            spots += [(entry, 2), (entry + 2, 2), (entry + 4, 4), (entry + 8, 4)]
            _, kind, values, where = struct.unpack_from("<HHII", data, entry)
            size = {1: 1, 2: 1, 3: 2, 4: 4, 12: 8, 16: 8}.get(kind, 1)
            if size * values > 4:
                spots += [(where + size * i, size) for i in range(min(values, 12))]
        place = struct.unpack_from("<I", data, place + 2 + 12 * count)[0]
        spots.append((place, 4))
    return spots
