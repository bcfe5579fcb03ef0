"""What a front-end counts and measures, as a whole. The names are in docs/monitoring.md."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from twisted_bazaar.frontend.cache.figures import CacheFigures
from twisted_bazaar.frontend.trading.figures import TradeFigures
from twisted_bazaar.http.edge import EdgeCertificate
from twisted_bazaar.http.figures import HttpFigures
from twisted_bazaar.http.site import BazaarSite
from twisted_bazaar.metrics.exposition import Exposition
from twisted_bazaar.metrics.figures import LATENCY_SECONDS, Labels, Metrics
from twisted_bazaar.metrics.process import ProcessFigures
from twisted_bazaar.metrics.resource import MetricsResource
from twisted_bazaar.rpc.figures import CallFigures
from twisted_bazaar.status.report import Durations, Figures, LookupCounts, TradeCounts

from .cache.floors import Floors
from .cache.redis import RedisCache
from .cache.store import QuoteCache
from .election.leadership import Leadership
from .election.search import Search
from .limits.figures import LimitFigures
from .trading.service import TradeService

__all__ = ["FrontendFigures"]


class Feed(Protocol):
    """The streams of events."""

    @property
    def readers(self) -> int:
        """How many are open."""

    @property
    def orders(self) -> int:
        """How many orders have come up while there were any."""


_NONE = (0,) * (len(LATENCY_SECONDS) + 1)


class FrontendFigures:
    """The figures of one front-end, each in the part that counts it.

    What is read from the state of other parts is declared by `show`, `show_cache` and `show_site`,
    once these are made.
    """

    def __init__(
        self, metrics: Metrics, reactor: IReactorTime, lost_lines: Callable[[], int]
    ) -> None:
        """`lost_lines` returns how many lines the log has lost."""
        self.process = ProcessFigures(reactor, metrics, "frontend", "", lost_lines)
        """To be started with the front-end."""
        self.http = HttpFigures(metrics)
        self.cache = CacheFigures(metrics)
        self.trades = TradeFigures(metrics)
        self.limits = LimitFigures(metrics)
        self.asked = CallFigures.of_server(metrics)
        self.asks = CallFigures.of_client(metrics)
        self._metrics = metrics
        self._streams: Callable[[], int] = lambda: 0
        self._connections: Callable[[], int] = lambda: 0
        self._is_ready = False

    def show(
        self,
        feed: Feed,
        trades: Sequence[TradeService],
        leaderships: Sequence[Leadership],
        searches: Sequence[Search],
    ) -> None:
        """Declare the metrics of streams of events, and, by partition, of trades and of the search
        for a leader."""
        self._streams = lambda: feed.readers
        self._metrics.gauge("bazaar_streams_open", "Streams of events.", lambda: feed.readers)
        self._metrics.counted(
            "bazaar_stream_orders_total",
            "Orders that came up while there were streams, each counted once for all of them.",
            read=lambda: {(): feed.orders},
        )
        gauges, counted = self._metrics.gauges, self._metrics.counted
        labels = _labels(trades)
        gauges(
            "bazaar_trade_queue_length",
            "Trades that wait to be sent.",
            *labels,
            read=lambda: _by_partition([each.waiting for each in trades]),
        )
        gauges(
            "bazaar_leader_id",
            "The replica that leads; 0: none is known to.",
            *labels,
            read=lambda: _by_partition([each.leader for each in leaderships]),
        )
        counted(
            "bazaar_leader_changes_total",
            "Times that another replica was found to lead, or the same one in another term.",
            *labels,
            read=lambda: _by_partition([each.leader_changes for each in searches]),
        )
        counted(
            "bazaar_nominations_total",
            "Times that a replica was asked to campaign.",
            *labels,
            read=lambda: _by_partition([each.nominations for each in searches]),
        )
        self._metrics.gauge(
            "bazaar_ready",
            "Whether a leader is known and a catalog answers: 1, or 0.",
            lambda: self._is_ready,
        )

    def show_site(self, site: BazaarSite) -> None:
        """Declare the metrics of the connections of clients."""
        self._connections = lambda: len(site.connections)
        self._metrics.gauge("bazaar_http_connections", "Connections of clients.", self._connections)

    def show_edge(
        self, edge: Callable[[], EdgeCertificate | None], wall: Callable[[], float]
    ) -> None:
        """Declare the metric of the certificate that clients are shown; None: none. `wall` shows
        seconds since 1970."""

        def left() -> Mapping[tuple[str, ...], float]:
            certificate = edge()
            return {} if certificate is None else {(): certificate.seconds_left(wall())}

        self._metrics.gauges(
            "bazaar_http_certificate_expiry_seconds",
            "For how long the certificate that clients are shown is valid; absent without TLS.",
            read=left,
        )

    def show_cache(
        self, cache: QuoteCache, floors: Sequence[Floors], seconds: Callable[[], float]
    ) -> None:
        """Declare the metrics of a cache, and, by partition, of the lease under which it may be
        used. `seconds` is the clock of `floors`."""
        redis = cache if isinstance(cache, RedisCache) else None
        self._metrics.counted(
            "bazaar_cache_errors_total",
            "Times that Redis could not be reached, did not answer in time, or refused a write.",
            read=lambda: {(): redis.errors if redis else 0},
        )
        self._metrics.gauge(
            "bazaar_cache_breaker_open",
            "Whether Redis is given up for now: 1, or 0.",
            lambda: redis is not None and redis.is_given_up,
        )
        labels = _labels(floors)
        self._metrics.gauges(
            "bazaar_frontend_lease_held",
            "Whether lookups may be answered from the cache: 1, or 0.",
            *labels,
            read=lambda: _by_partition([each.alive(seconds()) for each in floors]),
        )
        self._metrics.gauges(
            "bazaar_frontend_kept_out",
            "Whether it is granted no lease, as it repeatedly delayed trades: 1, or 0.",
            *labels,
            read=lambda: _by_partition([each.kept_out_until > seconds() for each in floors]),
        )

    def resource(
        self,
        readiness: Callable[[], Deferred[str | None]],
        seconds: Callable[[], float] | None = None,
    ) -> MetricsResource:
        """What answers `GET /metrics`. `readiness` is asked each time why this front-end is not
        ready; None: it is. `seconds`: see `MetricsResource`."""

        def found(missing: str | None) -> None:
            self._is_ready = missing is None

        exposition = Exposition(self._metrics)
        return MetricsResource(exposition, lambda: readiness().addCallback(found), seconds)

    def snapshot(self) -> Figures:
        """What was counted since the start."""
        requests = failures = 0
        for (route, _, code), counter in self.http.requests.values.items():
            requests += int(counter.value)
            # That it is not ready is no failure to say so.
            failures += int(counter.value) if code.startswith("5") and route != "/readyz" else 0
        cache, trades = self.cache, self.trades
        return Figures(
            uptime_seconds=round(self.process.uptime(), 3),
            requests=requests,
            failures=failures,
            lookups=LookupCounts(
                hit=int(cache.hit.value), miss=int(cache.miss.value), off=int(cache.off.value)
            ),
            trades=TradeCounts(
                placed=int(trades.placed.value),
                replayed=int(trades.replayed.value),
                judged=int(trades.judged.value),
                refused=int(trades.refused.value),
                not_executed=int(trades.not_executed.value),
                unknown=int(trades.unknown.value),
            ),
            streams=self._streams(),
            connections=self._connections(),
            seconds=Durations(
                bounds=LATENCY_SECONDS,
                lookup=self._counts("/stocks/<name>", "GET"),
                trade=self._counts("/orders", "POST"),
            ),
        )

    def _counts(self, *labels: str) -> tuple[int, ...]:
        histogram = self.http.seconds.values.get(labels)
        return _NONE if histogram is None else tuple(histogram.counts)


def _labels(parts: Sequence[object]) -> Sequence[str]:
    """The labels of what there is once for each partition."""
    return () if len(parts) == 1 else ("partition",)


def _by_partition(values: Sequence[float]) -> Mapping[Labels, float]:
    """What the metrics of each partition are, which have the label only if there are several."""
    if len(values) == 1:
        return {(): values[0]}
    return {(str(number),): value for number, value in enumerate(values)}
