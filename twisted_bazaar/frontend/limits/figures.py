"""Counts the requests that are refused as their client has made too many. Pure."""

from twisted_bazaar.metrics.figures import Metrics

__all__ = ["LimitFigures"]


class LimitFigures:
    """The figures of the limits of one front-end."""

    def __init__(self, metrics: Metrics) -> None:
        limited = metrics.counters(
            "bazaar_http_limited_requests_total",
            "Requests that were refused, as there were too many from one client (of: client), or "
            "from an address without an API key (of: address).",
            "of",
        )
        self.of_client = limited.of("client")
        self.of_address = limited.of("address")
