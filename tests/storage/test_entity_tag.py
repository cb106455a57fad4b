from pathlib import Path

import pytest

from spectralearth_build.storage.entity_tag import PART, Agreement, pieces, proves
from spectralearth_build.storage.trouble import SpoiltError


@pytest.mark.parametrize("etag", ["", '"0x8DC"', '"1234567890"', 'W/"900150983cd24fb0d6963f7d28e17f72"'])
def test_other_etags_prove_nothing(etag):
    assert proves(etag, b"abc") is None


def test_md5_etags(tmp_path: Path):
    (tmp_path / "abc").write_bytes(b"abc")
    etag = '"900150983cd24fb0d6963f7d28e17f72"'  # RFC 1321
    assert proves(etag, b"abc") is True
    assert proves(etag, tmp_path / "abc") is True
    assert proves(etag, b"abd") is False


def test_what_does_not_fit_must_come_twice():
    agreement = Agreement()
    etag = '"900150983cd24fb0d6963f7d28e17f72"'
    agreement.check(etag, b"abc")
    for data in (b"abd", b"abe"):
        with pytest.raises(SpoiltError):
            agreement.check(etag, data)
    agreement.check(etag, b"abd")


def test_pieces_are_the_whole(tmp_path):
    data = bytes(range(256)) * (PART // 100)
    (tmp_path / "file").write_bytes(data)
    for source in (data, tmp_path / "file"):
        found = list(pieces(source))
        assert b"".join(found) == data
        assert [len(piece) for piece in found] == [PART, PART, len(data) - 2 * PART]
