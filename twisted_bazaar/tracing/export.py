"""Makes the tracer of a process, if its options ask for one, and ends it in time.

OpenTelemetry is imported here, and only then: a process that exports no traces needs none of it.
"""

from collections.abc import Callable
from random import Random
from threading import Thread

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred, TimeoutError
from twisted.python.failure import Failure

from twisted_bazaar.errors import Unusable
from twisted_bazaar.runtime.reactor import Reactor

from .options import TraceConfig
from .spans import Tracer

__all__ = ["FLUSH_SECONDS", "Tracing", "make_tracing"]

FLUSH_SECONDS = 0.4
"""How long a stop waits for the last spans to leave: with the 5 s for requests under way, less than
a stop may take."""


class Flush(Service):
    """Exports what is left when it stops, on a thread that no exit waits for."""

    def __init__(self, reactor: Reactor, flush: Callable[[], object]) -> None:
        """`flush` may block."""
        self._reactor = reactor
        self._flush = flush

    def stopService(self) -> Deferred[None]:
        """Fires once all is exported, or after `FLUSH_SECONDS`."""
        super().stopService()
        done: Deferred[None] = Deferred()

        def flushed() -> None:
            if not done.called:
                done.callback(None)

        def flush() -> None:
            try:
                self._flush()
            finally:
                self._reactor.callFromThread(flushed)

        Thread(target=flush, name="traces", daemon=True).start()
        done.addTimeout(FLUSH_SECONDS, self._reactor)
        return done.addErrback(_too_late)


def _too_late(failure: Failure) -> None:
    failure.trap(TimeoutError)


@attrs.frozen
class Tracing:
    """What a process has of tracing."""

    tracer: Tracer | None
    """None: none is exported."""
    service: Service
    """It stops after all else."""


def make_tracing(
    reactor: Reactor, config: TraceConfig | None, service: str, chance: Random
) -> Tracing:
    """The tracing of the process that is named `service`. Raises `Unusable` if OpenTelemetry is not
    installed."""
    if config is None:
        return Tracing(None, Service())
    try:
        from .otlp import OtlpTracer
    except ImportError as why:
        raise Unusable(
            f"--otlp: traces need the extra packages of twisted-bazaar[tracing]: {why}"
        ) from None
    tracer = OtlpTracer(reactor, config, service, chance)
    return Tracing(tracer, Flush(reactor, tracer.flush))
