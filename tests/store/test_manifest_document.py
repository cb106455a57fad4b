"""manifest.json as a typed document: bytes of earlier versions come back, and anything else is one error."""

import json

import pytest

from spectralearth_build.errors import DamagedError
from spectralearth_build.store.commit import json_bytes
from spectralearth_build.store.manifest import _AT_ONCE, Manifest, entry, published_files
from spectralearth_build.store.seal import is_sealed, sealed

FILES = {"plan.json": entry(b"{}"), "commits/shard-00000000.json": entry(b"1"), "a.parquet": entry(b"")}
# As the version before this module wrote it.
WRITTEN = {
    "format": 1,
    "plan": "p",
    "settings": {"store.codec": "spectral"},
    "versions": {"GDAL": "3"},
    "counts": {"patches": {"planned": 2}},
    "files": dict(sorted(FILES.items())),
}
DATA = (json.dumps(sealed(WRITTEN), sort_keys=True, separators=(",", ":")) + "\n").encode()


def test_bytes_come_back(tmp_path):
    found = Manifest.decode(DATA)
    assert found.encode() == DATA
    assert is_sealed(DATA)
    assert (
        Manifest("p", {"store.codec": "spectral"}, {"GDAL": "3"}, {"patches": {"planned": 2}}, FILES) == found
    )
    (tmp_path / "manifest.json").write_bytes(DATA)
    assert Manifest.read(tmp_path) == found
    assert published_files(tmp_path) == FILES.keys()


@pytest.mark.parametrize("count", [0, 1, _AT_ONCE, 2 * _AT_ONCE + 1])
def test_pieces_are_the_document_encoded_at_once(count, tmp_path):
    files = {f"{number % 7}/\u00e9{number}": entry(b"%d" % number) for number in range(count)}
    manifest = Manifest("p", {"b": 1, "a": [None]}, {"GDAL": "3"}, {"patches": {"written": 1}}, files)
    expected = json_bytes(sealed({**vars(manifest), "files": dict(sorted(files.items()))}))
    assert b"".join(manifest.pieces()) == expected == manifest.encode()
    assert manifest.write(tmp_path / "manifest.json").read_bytes() == expected


def test_of_earlier_versions_without_a_seal():
    plain = json.dumps(WRITTEN).encode()
    assert Manifest.decode(plain) == Manifest.decode(DATA)


@pytest.mark.parametrize(
    "change",
    [
        {"files": None}, {"files": {"a": {}}}, {"files": {"../a": entry(b"")}}, {"counts": []},
        {"files": {"a": entry(b"") | {"bytes": "1"}}},
    ],
)  # fmt: skip
def test_anything_else_is_one_error(change, tmp_path):
    data = json.dumps(WRITTEN | change).encode()
    with pytest.raises(ValueError, match="not a manifest"):
        Manifest.decode(data)
    (tmp_path / "manifest.json").write_bytes(data)
    with pytest.raises(DamagedError, match=r"manifest\.json"):
        Manifest.read(tmp_path)
    assert published_files(tmp_path) == set()
