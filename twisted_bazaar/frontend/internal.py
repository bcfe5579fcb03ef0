"""The internal endpoint of a front-end: for the pushes of catalogs, for operators, and for metrics.

Importing this module imports Klein, which installs the reactor.
"""

import random
import secrets
import time
from collections.abc import Callable, Sequence

from twisted.application.service import Service
from twisted.logger import Logger

from twisted_bazaar.errors import Unusable
from twisted_bazaar.http.listener import Listener
from twisted_bazaar.http.request_ids import RequestIds
from twisted_bazaar.metrics.resource import MetricsResource
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.runtime.services import monotonic_seconds
from twisted_bazaar.security.contexts import Certificates

from .cache.invalidation import InvalidationResource, internal_site
from .cache.push_frames import push_frames
from .cache.signed_pushes import NoSubscription, SignedPushes, Taker
from .figures import FrontendFigures
from .operations.resource import MarketOperations
from .tap import FrontendConfig

__all__ = ["InternalEndpoint"]


class InternalEndpoint:
    """`serve` makes what listens; its address is known once that was started."""

    def __init__(
        self, reactor: Reactor, config: FrontendConfig, certificates: Certificates | None
    ) -> None:
        """None of `certificates`: it listens in plain text."""
        self._reactor = reactor
        self._certificates = certificates
        self._config = config
        self._listener: Listener | None = None

    def address(self) -> str:
        """HOST:PORT at which catalogs reach it. Raises `Unusable` if that must be given."""
        assert self._listener is not None, "it is served first"
        return str(self._config.advertise or self._listener.address)

    def shown(self) -> str:
        """Its address, as operators are shown it."""
        try:
            return self.address()
        except Unusable:
            return self._config.internal

    def serve(
        self,
        taker: Taker | None,
        cluster: Callable[[], str],
        operations: MarketOperations,
        metrics: MetricsResource,
        figures: FrontendFigures,
    ) -> Sequence[Service]:
        """The services to start, in this order. `taker` takes in pushes; None: there is no cache,
        and no push is signed for this front-end. `cluster` returns the one that it tells catalogs
        in frames."""
        config, refused = self._config, figures.cache.refused
        if taker is not None and not config.secret:
            Logger().warn(
                "no --secret-file: any process that can read this bazaar's traffic can forge "
                "pushes to this front-end; what it keeps in a Redis is of no use to other "
                "front-ends"
            )
        resource = InvalidationResource(
            *(config.secret, taker or NoSubscription(), monotonic_seconds),
            *(operations, metrics, refused),
        )
        frames = None
        if taker is not None:
            frames = push_frames(
                SignedPushes(config.secret, taker),
                self._reactor,
                cluster,
                random.SystemRandom(),
                refused,
                figures.asked,
            )
        site = internal_site(
            *(resource, self._reactor, time.time, RequestIds(secrets.token_hex(5))),
            frames.connections if frames else None,
        )
        listener = self._listener = Listener(
            *(self._reactor, config.internal, site, "--internal", self._certificates)
        )
        return [frames, listener] if frames else [listener]
