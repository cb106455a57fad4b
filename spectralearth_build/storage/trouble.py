"""Translation of object-store errors into our own messages.

Responses of stores may repeat secrets that were sent to them: key names, session tokens, signed URLs. So only the HTTP
status and the error code of the store are passed on, and only if they have the expected form.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import obstore.exceptions as refused

from spectralearth_build.errors import StorageError

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>([A-Z][A-Za-z]{2,50})</Code>")
_KIND = re.compile(r"HttpError \{\s+kind: (Connect|Request|Timeout|Interrupted|Decode|Unknown)\b")
_AGAIN = (408, 409, 425, 429)
"""4xx statuses that may be temporary."""
_UNSUPPORTED = (405, 501)
_FINAL = (
    refused.PermissionDeniedError,
    refused.UnauthenticatedError,
    refused.NotSupportedError,
    refused.InvalidPathError,
    refused.UnknownConfigurationKeyError,
)
_ODD = ("MissingEtag", "MissingLastModified", "MissingContentLength", "InvalidDeleteObjectsResponse",
        "InvalidListResponse", "InvalidPutResponse", "InvalidMultipartResponse")  # fmt: skip
"""Error names of object_store for responses that do not come from an object store."""
_ENDED = {
    "dns error": "no such host",
    "InvalidCertificate": "a certificate that is not trusted",
    "UnknownIssuer": "a certificate that is not trusted",
    "InvalidContentType": "the server does not use TLS",
    "AlertReceived": "TLS refused",
    "ConnectionRefused": "connection refused",
    "NetworkUnreachable": "network unreachable",
    "HostUnreachable": "host unreachable",
}
"""Reasons for failed connections, by phrases of the libraries that report them."""
REGION = {
    "s3": "Set AWS_REGION to the region of the bucket, and AWS_ENDPOINT_URL if it is not on Amazon S3.",
    "gs": "Check the bucket's name.",
    "az": "Check AZURE_STORAGE_ACCOUNT_NAME and the container's name.",
}
ENDPOINT = {
    "s3": "Check AWS_ENDPOINT_URL (with AWS_ALLOW_HTTP=true if it has no TLS), the network, proxies and "
    "login pages.",
    "gs": "Check the network, and proxies or login pages.",
    "az": "Check AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ENDPOINT, the network, and proxies or login "
    "pages.",
}
CREDENTIALS = {
    "s3": "Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN (they may have expired), their "
    "rights "
    "and AWS_REGION.",
    "gs": "Check GOOGLE_SERVICE_ACCOUNT or GOOGLE_APPLICATION_CREDENTIALS, and the rights they give.",
    "az": "Check AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_KEY (it may have expired), and the rights "
    "it gives.",
}
BUCKET = "Create the bucket (or container), or check its name."
CLOCK = "Set the clock of this machine."
_CODES = {
    "AuthorizationHeaderMalformed": REGION,
    "IllegalLocationConstraintException": REGION,
    "PermanentRedirect": REGION,
    "TemporaryRedirect": REGION,
}


class SpoiltError(Exception):
    """Raised if transferred bytes are damaged, so that the operation is tried again."""


@dataclass(frozen=True)
class Trouble:
    """A translated error."""

    words: str
    """What went wrong, without text from a store or client."""
    tries: int | None = None
    """Maximum number of tries; None: as many as `Patience` allows."""
    remedy: str | None = None
    """Remedy; None: the default."""

    def error(self, where: str) -> StorageError:
        """Return the error for users."""
        return StorageError(f"The object store refused the request ({self.words}).", where, self.remedy)


def trouble_of(error: BaseException, where: str = "", met: bool = False) -> Trouble:
    """Translate an error.

    Args:
        error: an exception of obstore, or `SpoiltError`.
        where: URL of the location.
        met: whether this process has had a response from there before. If so, an unknown host or a refused connection
            is probably temporary.
    """
    if isinstance(error, SpoiltError):
        return Trouble(str(error))
    text, scheme = str(error), where.partition("://")[0]
    status, code, kind = (_first(pattern, text) for pattern in (_STATUS, _CODE, _KIND))
    number = status_of(error)
    words = " ".join(filter(None, (f"HTTP {status}" if status else "", code, kind))) or type(error).__name__
    if "BareRedirect" in text or "kind: Redirect" in text or 300 <= number < 400 or code in _CODES:
        return Trouble(words if status else "it redirects", 1, REGION.get(scheme))
    if number in (401, 403) or isinstance(
        error, refused.PermissionDeniedError | refused.UnauthenticatedError
    ):
        return Trouble(words, 1, CLOCK if code == "RequestTimeTooSkewed" else CREDENTIALS.get(scheme))
    if number == 404:
        return Trouble(words, 1, BUCKET)
    if number in _UNSUPPORTED:
        return Trouble(words, 1, ENDPOINT.get(scheme))
    if 400 <= number < 500:
        return Trouble(words, None if number in _AGAIN else 1)
    if number:
        return Trouble(words)
    if any(name in text for name in _ODD):
        return Trouble("the server is not an object store", 2, ENDPOINT.get(scheme))
    if ended := next((said for name, said in _ENDED.items() if name in text), ""):
        passing = met and "TLS" not in ended and "certificate" not in ended
        return Trouble(f"Connect: {ended}", None if passing else 3, ENDPOINT.get(scheme))
    final = isinstance(error, _FINAL) or (
        isinstance(error, ValueError) and not isinstance(error, refused.BaseError)
    )
    return Trouble(words, 1 if final else None, None if final else ENDPOINT.get(scheme))


def status_of(error: BaseException) -> int:
    """Return the HTTP status that an exception of obstore tells; 0 if it tells none."""
    status = _first(_STATUS, str(error))
    return int(status) if status else 0


def refused_by(error: BaseException, where: str) -> StorageError | None:
    """Return the object-store error behind an error, without the text of the store; None if there is none.

    This is for calls that reach a store through another library.

    Args:
        error: the exception. Its causes are checked too.
        where: URL of the location.
    """
    each: BaseException | None = error
    while each is not None:
        if isinstance(each, refused.BaseError):
            return trouble_of(each, where).error(where)
        each = each.__cause__ or each.__context__
    return None


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found[1] if found else ""
