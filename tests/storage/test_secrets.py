"""Nothing of what a store says is shown but its status and its code; what can be mended is said at once."""

from __future__ import annotations

import logging
import re
import traceback

import pytest
from typer.testing import CliRunner

from spectralearth_build.cli.app import app
from spectralearth_build.dataset.access import open_dataset
from spectralearth_build.errors import BuildError, StorageError
from spectralearth_build.loader import open_reader
from spectralearth_build.storage import client, retry, trouble
from spectralearth_build.storage.client import Client, store_of
from spectralearth_build.storage.trouble import trouble_of
from spectralearth_build.storage.url import Remote
from tests.support.cloud_archive import upload
from tests.support.echo_server import PAGE, echoing
from tests.support.s3_server import PLANTED

INLINE = ("--scheduler", "inline")
SIGNED = re.compile(r"Signature=|Credential=|x-amz-|sig=|[0-9a-f]{64}|Please log in", re.IGNORECASE)


@pytest.fixture
def echo(s3_environment):
    """The server; clients are led to it."""
    with echoing() as server:
        s3_environment.setenv("AWS_ENDPOINT_URL", server.endpoint)
        s3_environment.setattr(retry, "_met", set())
        store_of.cache_clear()
        yield server


def clean(*texts):
    """None of what was planted, signed or answered is in any of the texts."""
    for text in texts:
        assert not any(secret in text for secret in PLANTED), text
        assert not SIGNED.search(text), text


def raised_by(call):
    """What a call raises, and all that this was raised from or while."""
    try:
        call()
    except Exception as error:
        while error is not None:
            yield error
            error = error.__cause__ or error.__context__


def operations(place):
    return {
        "listing": place.listing,
        "children": lambda: place.children(""),
        "head": lambda: place.head("x"),
        "read": lambda: place.read("x"),
        "put": lambda: place.put("x", b"planted body"),
        "create": lambda: place.create("x", b"planted body"),
        "swap": lambda: place.swap(client.Meta("x", 1, "e"), b"planted body"),
        "delete": lambda: place.delete("x"),
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (301, "PermanentRedirect"),
        (400, "AuthorizationHeaderMalformed"),
        (401, "Unauthorized"),
        (403, "AKIAPLANTEDPLANTED00"),
        (404, "NoSuchBucket"),
        (405, "MethodNotAllowed"),
        (409, "OperationAborted"),
        (412, "PreconditionFailed"),
        (500, "InternalError"),
        (501, "NotImplemented"),
    ],
)
def test_no_operation_repeats_what_a_store_says(echo, s3_environment, caplog, status, code):
    echo.status, echo.code = status, code
    s3_environment.setattr(retry, "PATIENCE", retry.Patience(tries=2, pause=0.01))
    ended = [
        error
        for call in operations(Client(Remote("s3", "bucket", "set"))).values()
        for error in raised_by(call)
    ]
    clean(*map(repr, ended), *("".join(traceback.format_exception(error)) for error in ended))
    assert ended
    assert any(secret in sent for secret in PLANTED for sent in echo.seen), "nothing was at stake"
    clean(*(record.getMessage() for record in caplog.records))


VERBS = {
    "build": ["build", "{archive}", "s3://bucket/set", *INLINE],
    "scan": ["scan", "s3://bucket/archive", "{dataset}", *INLINE],
    "verify": ["verify", "s3://bucket/set", *INLINE],
    "report": ["report", "s3://bucket/set"],
    "unlock": ["unlock", "s3://bucket/set"],
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (301, "PermanentRedirect", "Set AWS_REGION"),
        (400, "AuthorizationHeaderMalformed", "Set AWS_REGION"),
        (403, "SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"),
        (403, "RequestTimeTooSkewed", "Set the clock of this machine"),
        (404, "NoSuchBucket", "HTTP 404"),
    ],
)
def test_verbs_say_what_to_set_and_nothing_else(
    echo, local_archive, tmp_path, monkeypatch, caplog, verb, status, code, said
):
    caplog.set_level(logging.DEBUG)
    echo.status, echo.code = status, code
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(retry, "PATIENCE", retry.Patience())  # the real one: waiting would be noticed
    places = {"archive": local_archive, "dataset": tmp_path / "d"}
    done = CliRunner().invoke(app, [part.format(**places) for part in VERBS[verb]] + ["--debug"])
    if (verb, status) == ("unlock", 404):
        assert done.exit_code in (0, 69)  # S3 says no more of a name than that it is not there
    else:
        assert done.exit_code == 69, done.output
        assert said in done.output or f"HTTP {status}" in done.output, done.output
    clean(done.output, "".join(traceback.format_exception(done.exception)))
    clean(*(record.getMessage() for record in caplog.records))
    assert len(echo.seen) < 12


@pytest.mark.parametrize("headers", [{}, {"ETag": '"x"', "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}])
@pytest.mark.parametrize("verb", VERBS)
def test_a_login_page_is_no_store(echo, local_archive, tmp_path, monkeypatch, headers, verb):
    echo.status, echo.form, echo.headers = 200, PAGE, {"Content-Type": "text/html", **headers}
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(retry, "PATIENCE", retry.Patience())
    places = {"archive": local_archive, "dataset": tmp_path / "d"}
    done = CliRunner().invoke(app, [part.format(**places) for part in VERBS[verb]] + ["--debug"])
    assert done.exit_code == 69, done.output
    assert "not an object store" in done.output
    assert "AWS_ENDPOINT_URL" in done.output
    clean(done.output)
    assert len(echo.seen) < 12


@pytest.mark.parametrize("status", [403, 404, 200])
def test_readers_repeat_nothing(echo, tmp_path, monkeypatch, status):
    echo.status, echo.form = status, PAGE if status == 200 else echo.form
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for read in (open_dataset, lambda place: open_reader(f"{place}/store.zarr/reflectance")):
        with pytest.raises(BuildError) as caught:
            read("s3://bucket/set")
        clean(str(caught.value), "".join(traceback.format_exception(caught.value)))


def test_pixels_that_a_store_refuses_repeat_nothing(finished, echo, s3_server, s3_environment, tmp_path):
    """Zarr reads them by itself."""
    s3_environment.setenv("XDG_CACHE_HOME", str(tmp_path))
    s3_environment.setenv("AWS_ENDPOINT_URL", s3_server.endpoint)
    store_of.cache_clear()
    dataset = open_dataset(str(finished))
    location = dataset.query()["location_id"].iloc[0]
    s3_environment.setenv("AWS_ENDPOINT_URL", echo.endpoint)
    store_of.cache_clear()
    with pytest.raises(StorageError, match="HTTP 403") as caught:
        dataset.series(location)
    clean(str(caught.value), "".join(traceback.format_exception(caught.value)))


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        ("http://127.0.0.1:1", "connection refused"),
        ("http://no-such-host.invalid", "no such host"),
        ("https", "TLS"),
    ],
)
def test_a_wrong_endpoint_is_said_soon(echo, s3_environment, monkeypatch, endpoint, said):
    url = echo.endpoint.replace("http:", "https:") if endpoint == "https" else endpoint
    s3_environment.setenv("AWS_ENDPOINT_URL", url)
    pauses = []
    monkeypatch.setattr(retry, "PATIENCE", retry.Patience())
    monkeypatch.setattr(retry.time, "sleep", pauses.append)
    store_of.cache_clear()
    with pytest.raises(StorageError, match=said) as caught:
        Client(Remote("s3", "bucket")).listing()
    assert "AWS_ENDPOINT_URL" in str(caught.value)
    assert sum(pauses) < 3


def test_a_store_that_was_there_is_waited_for(s3_environment, bucket, monkeypatch):
    Client(bucket).put("x", b"1")
    s3_environment.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    store_of.cache_clear()
    monkeypatch.setattr(retry, "PATIENCE", retry.Patience(tries=6, pause=0.001))
    with pytest.raises(StorageError, match="failed 6 times"):
        Client(bucket).read("x")


def test_an_empty_place_is_no_login_page(bucket):
    assert Client(bucket).listing() == []
    assert Client(bucket / "nothing").children("") == ([], [])


def test_a_signed_url_is_not_repeated():
    """Azure's tokens stand in the URL, which obstore puts into its errors."""
    text = (
        "Generic MicrosoftAzure error: Error performing GET https://a.blob.core.windows.net/c/x?sv=2022&sig=SECRETSIG "
        "- Server returned non-2xx status code: 500 Internal Server Error: <Error><Code>InternalError</Code></Error>"
    )
    found = trouble_of(trouble.refused.GenericError(text), "az://c/x")
    assert (found.words, found.tries) == ("HTTP 500 InternalError", None)


def test_uploads_to_no_bucket_end_with_what_to_do(s3_environment, local_archive, tmp_path):
    with pytest.raises(StorageError, match=r"HTTP 404 NoSuchBucket.*Create the bucket"):
        upload(local_archive, Remote("s3", "no-such-bucket"))
