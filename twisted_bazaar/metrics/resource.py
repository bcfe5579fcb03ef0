"""Answers `GET /metrics`, on any `BazaarSite`."""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from twisted_bazaar.http.refusals import ONLY_GET
from twisted_bazaar.http.site import BazaarRequest

from .exposition import Exposition

__all__ = ["PATH", "MetricsResource", "WithMetrics"]

PATH = b"/metrics"


class MetricsResource(Resource):
    """The metrics of this process, as they are now."""

    isLeaf = True

    def __init__(
        self, exposition: Exposition, before: Callable[[], Deferred[None]] | None = None
    ) -> None:
        """`before` is called before metrics are read, which waits until its Deferred fires: for
        what must be asked of another process. It never fails, and fires soon."""
        super().__init__()
        self._exposition = exposition
        self._before = before

    def render(self, request: BazaarRequest) -> int:
        """Answer `request`, whatever its path."""
        request.route = PATH.decode("ascii")
        if request.method not in (b"GET", b"HEAD"):
            request.answer(ONLY_GET)
        elif self._before is None:
            request.respond(self.body(request))
        else:
            read = self._before().addCallback(lambda _: request.respond(self.body(request)))
            read.addErrback(request.processingFailed).addErrback(lambda logged: None)
        return NOT_DONE_YET

    def body(self, request: BazaarRequest) -> bytes:
        """The body of the answer to a GET or HEAD. Sets the headers."""
        accepted = request.requestHeaders.getRawHeaders(b"Accept", [])
        body, content_type = self._exposition.write(b",".join(accepted).decode("latin-1"))
        request.responseHeaders.setRawHeaders(b"Content-Type", [content_type])
        request.responseHeaders.setRawHeaders(b"Cache-Control", [b"no-store"])
        return body


class WithMetrics(Resource):
    """Serves `/metrics`, and leaves all else to `others`."""

    isLeaf = True

    def __init__(self, metrics: MetricsResource, others: Resource) -> None:
        super().__init__()
        self._metrics = metrics
        self._others = others

    def render(self, request: BazaarRequest) -> int:
        is_metrics = request.path.rstrip(b"/") == PATH
        resource = self._metrics if is_metrics else self._others
        resource.render(request)
        return NOT_DONE_YET
