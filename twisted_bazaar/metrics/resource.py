"""Answers `GET /metrics`, on any `BazaarSite`."""

from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from twisted_bazaar.http.refusals import Reason, Refusal
from twisted_bazaar.http.site import BazaarRequest

from .exposition import Exposition

__all__ = ["PATH", "MetricsResource"]

PATH = b"/metrics"

_ONLY_GET = Refusal(
    Reason.METHOD_NOT_ALLOWED, "only GET, HEAD can be done here", {b"Allow": b"GET, HEAD"}
)


class MetricsResource(Resource):
    """The metrics of this process, as they are now."""

    isLeaf = True

    def __init__(self, exposition: Exposition) -> None:
        super().__init__()
        self._exposition = exposition

    def render(self, request: BazaarRequest) -> int:
        """Answer `request`, whatever its path."""
        request.respond(self.body(request))
        return NOT_DONE_YET

    def body(self, request: BazaarRequest) -> bytes:
        """The body of the answer, whose status and headers are set."""
        if request.method not in (b"GET", b"HEAD"):
            return request.refuse(_ONLY_GET)
        accepted = request.requestHeaders.getRawHeaders(b"Accept", [])
        body, content_type = self._exposition.write(b",".join(accepted).decode("latin-1"))
        request.responseHeaders.setRawHeaders(b"Content-Type", [content_type])
        request.responseHeaders.setRawHeaders(b"Cache-Control", [b"no-store"])
        return body
