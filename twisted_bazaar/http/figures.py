"""Counts the requests of a site, and how long they take. Pure."""

from bisect import bisect_left

from twisted_bazaar.metrics.figures import Counter, Histogram, Metrics

__all__ = ["CLIENT_GONE", "OTHER", "HttpFigures"]

OTHER = "other"
"""The route of what is answered without one, and the method of what is none of HTTP's."""
CLIENT_GONE = 499
"""Stands for the status where the connection ended before the answer did."""

_METHODS = {b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH"}


class HttpFigures:
    """The figures of one site. A route is known by its template."""

    def __init__(self, metrics: Metrics) -> None:
        self.requests = metrics.counters(
            "bazaar_http_requests_total",
            "Requests that were answered, or whose client has hung up.",
            *("route", "method", "code"),
        )
        self.seconds = metrics.histograms(
            "bazaar_http_request_duration_seconds",
            "From a request that has come whole until its answer is written.",
            *("route", "method"),
        )
        refused = metrics.counters(
            "bazaar_http_refused_connections_total",
            "Connections that were refused: as all others waited for an answer (bound: all), or "
            "as there were too many from one address (bound: address).",
            "bound",
        )
        self.refused_connections = refused.of("all")
        self.refused_connections_of_one = refused.of("address")
        self.failed_handshakes = metrics.counter(
            "bazaar_http_tls_failures_total",
            "Connections that were given up in the TLS handshake, or broke TLS later.",
        )
        self._kept: dict[tuple[str, bytes, int], tuple[Counter, Histogram]] = {}

    def answered(self, route: str, method: bytes, code: int, seconds: float) -> None:
        """A request was answered, in so many seconds."""
        # Every cached lookup passes here: `observe` would be one more call.
        found = self._kept.get((route, method, code))
        if found is None:
            found = self._find(route, method, code)
        counter, histogram = found
        counter.value += 1
        histogram.counts[bisect_left(histogram.bounds, seconds)] += 1
        histogram.total += seconds

    def _find(self, route: str, method: bytes, code: int) -> tuple[Counter, Histogram]:
        name = _shown(method)
        found = self.requests.of(route, name, str(code)), self.seconds.of(route, name)
        if name != OTHER:
            self._kept[route, method, code] = found
        return found

    def counted(self, route: str, method: bytes, code: int) -> None:
        """A request that is not timed was answered, or begins to be."""
        self.requests.of(route, _shown(method), str(code)).value += 1


def _shown(method: bytes) -> str:
    return method.decode("ascii") if method in _METHODS else OTHER
