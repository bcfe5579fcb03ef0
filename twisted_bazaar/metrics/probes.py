"""What a service whose one port is for other processes serves there over HTTP: whether it lives and
is ready, and its metrics."""

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from twisted_bazaar.http.probes import Page, Probes, ProbeSite, readiness

from .exposition import Exposition
from .figures import Metrics
from .resource import PATH, MetricsResource

__all__ = ["make_probes"]


def make_probes(
    reactor: IReactorTime,
    metrics: Metrics,
    why_not_ready: Callable[[], str | None],
    wall_clock: Callable[[], float],
    request_ids: Callable[[], str],
) -> Probes:
    """Serves `metrics` at `/metrics`, and `/livez` and `/readyz`. `why_not_ready` says why the
    service is of no use now; None: it is. See `BazaarSite` for the others."""
    resource = MetricsResource(Exposition(metrics), seconds=reactor.seconds)
    pages: dict[bytes, Page] = {b"/readyz": readiness(why_not_ready), PATH: resource.body}
    return Probes(reactor, ProbeSite(pages, reactor, wall_clock, request_ids))
