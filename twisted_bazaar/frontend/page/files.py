"""Serves the files of the live page.

They are read once, when the front-end starts. The policy sent with each lets the page load scripts,
styles and data from its own origin only, and runs no script or style written in the HTML.
"""

from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple, Self

from twisted.web.http import NOT_MODIFIED

from twisted_bazaar.frontend.api.entity_tags import matches
from twisted_bazaar.http.refusals import NO_SUCH_PATH
from twisted_bazaar.http.site import BazaarRequest

__all__ = ["INDEX", "MEDIA_TYPES", "POLICY", "PageFile", "PageFiles"]

INDEX = "index.html"
"""The page itself."""

MEDIA_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".LICENSE": "text/plain",
}
"""By the end of a file's name. Files of other kinds are not served."""

POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    b"img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The Content-Security-Policy of the page."""

_TAG_BYTES = 12


class PageFile(NamedTuple):
    """A file, as it is sent."""

    body: bytes
    media_type: bytes
    tag: bytes
    """Its entity tag: a hash of its body."""


class PageFiles:
    """The files of the page, by name. Folders do not count: names are unique."""

    def __init__(self, files: dict[str, PageFile]) -> None:
        assert INDEX in files, "the page is missing: the package is incomplete"
        self._files = files

    @classmethod
    def read(cls, folder: Path = Path(__file__).parent) -> Self:
        """Those in `folder` and below."""
        files: dict[str, PageFile] = {}
        for path in sorted(folder.rglob("*")):
            media_type = MEDIA_TYPES.get(path.suffix)
            if media_type is None:
                continue
            assert path.name not in files, f"{path.name} is there twice"
            body = path.read_bytes()
            tag = b'"%b"' % blake2b(body, digest_size=_TAG_BYTES).hexdigest().encode()
            files[path.name] = PageFile(body, f"{media_type}; charset=utf-8".encode(), tag)
        return cls(files)

    def answer(self, request: BazaarRequest, name: str) -> bytes:
        """The body that answers a request for the file `name`: nothing, with status 304, if the
        client has it; that of a 404 if there is none of that name."""
        file = self._files.get(name)
        if file is None:
            return request.refuse(NO_SUCH_PATH)
        for header, value in (
            (b"Content-Type", file.media_type),
            (b"Content-Security-Policy", POLICY),
            (b"X-Content-Type-Options", b"nosniff"),
            (b"Referrer-Policy", b"no-referrer"),
            (b"ETag", file.tag),
        ):
            request.responseHeaders.setRawHeaders(header, [value])
        if matches(request.requestHeaders.getRawHeaders(b"If-None-Match"), file.tag):
            request.setResponseCode(NOT_MODIFIED)
            return b""
        return file.body
