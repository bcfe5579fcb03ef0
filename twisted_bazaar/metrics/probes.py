"""What a service whose one port is for other processes serves there over HTTP: whether it lives and
is ready, and its metrics."""

from collections.abc import Callable, Sequence

from twisted.internet.interfaces import IReactorTime

from twisted_bazaar.http.probes import Page, Probes, ProbeSite, readiness
from twisted_bazaar.http.refusals import Reason, later
from twisted_bazaar.http.site import BazaarRequest

from .exposition import Exposition
from .figures import Metrics
from .resource import PATH, MetricsResource

__all__ = ["FRESH_SECONDS", "MAX_FORMATS", "make_probes"]

FRESH_SECONDS = 0.1
"""For how long the metrics are shown again as they are: to write them takes milliseconds, in which
the process does nothing else."""
MAX_FORMATS = 4
"""How many values of `Accept` are answered in that time."""


class _Remembering:
    """A page that is made at most `MAX_FORMATS` times in `FRESH_SECONDS`."""

    def __init__(self, page: Page, seconds: Callable[[], float]) -> None:
        self._page = page
        self._seconds = seconds
        self._made: dict[bytes, tuple[float, bytes, Sequence[bytes]]] = {}
        """By `Accept`: when it was made, the body and its `Content-Type`; the oldest first."""

    def __call__(self, request: BazaarRequest) -> bytes:
        now, made = self._seconds(), self._made
        for accept, (at, _, _) in [*made.items()]:
            if now - at < FRESH_SECONDS:
                break
            del made[accept]
        headers = request.responseHeaders
        accept = b",".join(request.requestHeaders.getRawHeaders(b"Accept", []))
        if accept not in made:
            if len(made) >= MAX_FORMATS:
                raise later(Reason.OVERLOADED, "the metrics are asked for too often")
            body = self._page(request)
            made[accept] = now, body, headers.getRawHeaders(b"Content-Type", [])
        _, body, content_type = made[accept]
        headers.setRawHeaders(b"Content-Type", content_type)
        return body


def make_probes(
    reactor: IReactorTime,
    metrics: Metrics,
    why_not_ready: Callable[[], str | None],
    wall_clock: Callable[[], float],
    request_ids: Callable[[], str],
) -> Probes:
    """Serves `metrics` at `/metrics`, and `/livez` and `/readyz`. `why_not_ready` says why the
    service is of no use now; None: it is. See `BazaarSite` for the others."""
    page = _Remembering(MetricsResource(Exposition(metrics)).body, reactor.seconds)
    pages: dict[bytes, Page] = {b"/readyz": readiness(why_not_ready), PATH: page}
    return Probes(reactor, ProbeSite(pages, reactor, wall_clock, request_ids))
