import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralearth_build.errors import UsageError
from spectralearth_build.storage.url import Remote, is_url, parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://bucket/a/b", Remote("s3", "bucket", "a/b")),
        ("s3://bucket/a//b/", Remote("s3", "bucket", "a/b")),
        ("s3://bucket", Remote("s3", "bucket")),
        ("gs://bucket/x", Remote("gs", "bucket", "x")),
        ("az://container/x y%20z", Remote("az", "container", "x y%20z")),
        ("file:///data/a%20b", Path("/data/a b")),
        ("file://localhost/data", Path("/data")),
        ("data/enmap", Path("data/enmap")),
        ("C:/data", Path("C:/data")),
    ],
)
def test_what_is_a_place(text, expected):
    assert parse(text) == expected
    assert is_url(text) == ("://" in text)


@pytest.mark.parametrize(
    "text",
    [
        "s3://KEYPLANTED:SECRETPLANTED@bucket/x",
        "az://container/x?sig=SECRETPLANTED",
        "gs://bucket/x#SECRETPLANTED",
        "https://user:SECRETPLANTED@host/x",
        "file:///x?SECRETPLANTED",
        "file://SECRETPLANTED/x",
        "s3://",
        "s3:///x",
        "s3://bucket/../other",
        "s3://bucket/a\nb",
        "ftp://bucket/x",
    ],
)
def test_what_is_refused_is_not_repeated(text):
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert "PLANTED" not in str(caught.value)
    assert caught.value.__cause__ is None


@given(
    st.sampled_from(["s3", "gs", "az"]), st.lists(st.from_regex(r"[a-z][a-z0-9 ._%=+-]{0,8}", fullmatch=True))
)
def test_a_url_reads_back(scheme, parts):
    remote = Remote(scheme, "bucket", "/".join(parts))
    assert parse(str(remote)) == remote
    assert pickle.loads(pickle.dumps(remote)) == remote
    assert parse(str(remote / "more")) == remote / "more"


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        ("s3://b/a", "s3://b/a/c", True),
        ("s3://b/a", "s3://b/a", True),
        ("s3://b", "s3://b/a", True),
        ("s3://b/a", "s3://b/ab", False),
        ("s3://b/a", "s3://c/a", False),
        ("s3://b/a", "gs://b/a", False),
    ],
)
def test_places_inside_each_other(one, two, expected):
    assert parse(one).overlaps(parse(two)) == parse(two).overlaps(parse(one)) == expected


def test_keys_are_short_and_differ():
    keys = {parse(text).key for text in ("s3://b/a", "s3://b/ab", "gs://b/a", "s3://b")}
    assert len(keys) == 4
    assert all(len(key) == 24 for key in keys)
