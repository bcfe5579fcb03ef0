"""Answers `GET /metrics`, on any `BazaarSite`."""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from twisted_bazaar.http.refusals import ONLY_GET, Reason, Refusal, later
from twisted_bazaar.http.site import BazaarRequest

from .exposition import Exposition

__all__ = ["FRESH_SECONDS", "MAX_FORMATS", "PATH", "MetricsResource", "WithMetrics"]

PATH = b"/metrics"

FRESH_SECONDS = 0.1
"""For how long the metrics may be shown again as they are: to write them takes milliseconds, in
which the process does nothing else."""
MAX_FORMATS = 4
"""How many values of `Accept` are then answered in that time."""


class MetricsResource(Resource):
    """The metrics of this process, as they are now, or were a moment ago."""

    isLeaf = True

    def __init__(
        self,
        exposition: Exposition,
        before: Callable[[], Deferred[None]] | None = None,
        seconds: Callable[[], float] | None = None,
    ) -> None:
        """`before` is called before metrics are read, which waits until its Deferred fires: for
        what must be asked of another process. It never fails, and fires soon. With `seconds`, a
        clock, metrics are read at most `MAX_FORMATS` times in `FRESH_SECONDS`, however many ask."""
        super().__init__()
        self._exposition = exposition
        self._before = before
        self._seconds = seconds
        self._written: dict[str, tuple[float, tuple[bytes, bytes]]] = {}
        """By `Accept`: when it was written, the body and its `Content-Type`; the oldest first."""

    def render(self, request: BazaarRequest) -> int:
        """Answer `request`, whatever its path."""
        request.route = PATH.decode("ascii")
        if request.method not in (b"GET", b"HEAD"):
            request.answer(ONLY_GET)
        elif self._before is None or _accepted(request) in self._fresh():
            self._answer(request)
        else:
            read = self._before().addCallback(lambda _: self._answer(request))
            read.addErrback(request.processingFailed).addErrback(lambda logged: None)
        return NOT_DONE_YET

    def _answer(self, request: BazaarRequest) -> None:
        try:
            body = self.body(request)
        except Refusal as refusal:
            request.answer(refusal)
        else:
            request.respond(body)

    def body(self, request: BazaarRequest) -> bytes:
        """The body of the answer to a GET or HEAD. Sets the headers. Raises `Refusal`."""
        body, content_type = self._write(_accepted(request))
        request.responseHeaders.setRawHeaders(b"Content-Type", [content_type])
        request.responseHeaders.setRawHeaders(b"Cache-Control", [b"no-store"])
        return body

    def _write(self, accept: str) -> tuple[bytes, bytes]:
        if self._seconds is None:
            return self._exposition.write(accept)
        written = self._fresh()
        if accept not in written:
            if len(written) >= MAX_FORMATS:
                raise later(Reason.OVERLOADED, "the metrics are asked for too often")
            written[accept] = self._seconds(), self._exposition.write(accept)
        return written[accept][1]

    def _fresh(self) -> dict[str, tuple[float, tuple[bytes, bytes]]]:
        """What was written within `FRESH_SECONDS`."""
        if self._seconds is not None:
            now = self._seconds()
            for accept, (at, _) in [*self._written.items()]:
                if now - at < FRESH_SECONDS:
                    break
                del self._written[accept]
        return self._written


def _accepted(request: BazaarRequest) -> str:
    return b",".join(request.requestHeaders.getRawHeaders(b"Accept", [])).decode("latin-1")


class WithMetrics(Resource):
    """Serves `/metrics`, and leaves all else to `others`."""

    isLeaf = True

    def __init__(
        self,
        metrics: MetricsResource,
        others: Resource,
        check: Callable[[BazaarRequest], None] | None = None,
    ) -> None:
        """`check` raises `Refusal` for a request for metrics that may not have them."""
        super().__init__()
        self._check = check
        self._metrics = metrics
        self._others = others

    def render(self, request: BazaarRequest) -> int:
        is_metrics = request.path.rstrip(b"/") == PATH
        if is_metrics and self._check is not None:
            try:
                self._check(request)
            except Refusal as refusal:
                request.answer(refusal)
                return NOT_DONE_YET
        resource = self._metrics if is_metrics else self._others
        resource.render(request)
        return NOT_DONE_YET
