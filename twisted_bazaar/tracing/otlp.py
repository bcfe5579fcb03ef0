"""A tracer that exports by OTLP over HTTP. Imports OpenTelemetry.

Spans are begun and ended on the reactor's thread, and encoded and sent on a thread of their own. At
most `_MAX_QUEUED` wait to be sent: while a collector does not answer, later ones are dropped, and
one line in ten seconds says so.
"""

import logging
import os
from collections.abc import Callable, Mapping
from random import Random

import requests
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)
from opentelemetry.trace import Span as OtelSpan
from twisted.logger import Logger

from twisted_bazaar import __version__
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.runtime.seldom import Seldom

from .context import TraceContext
from .options import TraceConfig
from .spans import Kind, Span, Value

__all__ = ["OtlpTracer"]

_MAX_QUEUED = 2048
_MAX_BATCH = 512
_EXPORT_MILLISECONDS = 1000
"""Between two exports."""
_TIMEOUT_SECONDS = 5.0
"""Of one export."""

_KINDS = {Kind.SERVER: SpanKind.SERVER, Kind.CLIENT: SpanKind.CLIENT}


class OtlpTracer:
    """Begins spans, and exports those that have ended."""

    def __init__(self, reactor: Reactor, config: TraceConfig, service: str, chance: Random) -> None:
        """`service` names this process. `chance` decides which traces are recorded."""
        _log_to(Logger(), reactor)
        session = requests.Session()
        # As calls between services do, it ignores proxies in the environment.
        session.trust_env = False
        exporter = OTLPSpanExporter(
            f"{config.url}/v1/traces", timeout=_TIMEOUT_SECONDS, session=session
        )
        self._processor = BatchSpanProcessor(
            exporter,
            max_queue_size=_MAX_QUEUED,
            schedule_delay_millis=_EXPORT_MILLISECONDS,
            max_export_batch_size=_MAX_BATCH,
        )
        resource = Resource.create(
            {
                "service.name": service,
                "service.namespace": "bazaar",
                "service.version": __version__,
                "service.instance.id": f"{chance.getrandbits(64):016x}",
                "process.pid": os.getpid(),
            }
        )
        # Which traces are recorded is decided before a span is made, as that costs most.
        provider = TracerProvider(sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(self._processor)
        self._tracer = provider.get_tracer("twisted_bazaar", __version__)
        self._ratio = config.ratio
        self._chance: Callable[[], float] = chance.random

    def begin(
        self,
        name: str,
        kind: Kind,
        parent: TraceContext | None,
        attributes: Mapping[str, Value],
    ) -> Span | None:
        if not (parent.is_sampled if parent is not None else self._chance() < self._ratio):
            return None
        span = self._tracer.start_span(name, _context_of(parent), _KINDS[kind], attributes)
        return _Span(span, parent.state if parent is not None else "")

    def flush(self) -> None:
        """Export all spans that have ended. Blocks."""
        self._processor.force_flush()


class _Span:
    def __init__(self, span: OtelSpan, state: str) -> None:
        self._span = span
        own = span.get_span_context()
        self.context = TraceContext(
            f"{own.trace_id:032x}", f"{own.span_id:016x}", int(own.trace_flags), state
        )

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def set(self, attributes: Mapping[str, Value]) -> None:
        self._span.set_attributes(attributes)

    def event(self, name: str, attributes: Mapping[str, Value]) -> None:
        self._span.add_event(name, attributes)

    def end(self, error: str = "") -> None:
        if not self._span.is_recording():
            return
        if error:
            self._span.set_status(Status(StatusCode.ERROR, error))
        self._span.end()


def _context_of(parent: TraceContext | None) -> Context:
    if parent is None:
        return Context()
    remote = SpanContext(
        int(parent.trace_id, 16),
        int(parent.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(parent.flags),
        trace_state=TraceState.from_header([parent.state]) if parent.state else None,
    )
    return set_span_in_context(NonRecordingSpan(remote), Context())


def _log_to(log: Logger, reactor: Reactor) -> None:
    """Have what OpenTelemetry logs in `log`: a line in so many seconds at most."""
    source = logging.getLogger("opentelemetry")
    source.handlers = [_Handler(log, reactor)]
    source.propagate = False


class _Handler(logging.Handler):
    def __init__(self, log: Logger, reactor: Reactor) -> None:
        super().__init__(logging.WARNING)
        self._log = log
        self._reactor = reactor
        self._line = Seldom()

    def emit(self, record: logging.LogRecord) -> None:
        more = self._line.held_back(self._reactor.seconds())
        if more is None:
            return
        # This may be the thread that exports.
        self._reactor.callFromThread(self._say, record.getMessage()[:300], more)

    def _say(self, line: str, more: int) -> None:
        self._log.warn(
            "traces: {line} ({more} more since the last line like this)", line=line, more=more
        )
