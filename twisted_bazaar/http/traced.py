"""Requests that are spans of a trace. Only a site whose process exports traces makes such ones."""

from typing import Any

from twisted.python.failure import Failure

from twisted_bazaar.security.transport import TlsTransport
from twisted_bazaar.tracing.context import TraceContext
from twisted_bazaar.tracing.spans import Kind, Span, Tracer, Value

from .figures import OTHER
from .site import BazaarRequest, BazaarSite

__all__ = ["TracedRequest", "trace_requests"]

_METHODS = {b"GET", b"HEAD", b"POST", b"OPTIONS", b"PUT", b"DELETE", b"PATCH", b"TRACE", b"CONNECT"}
_SHOWN_CHARACTERS = 256


class TracedRequest(BazaarRequest):
    """A request with a span, from when it has come until its answer is written."""

    tracer: Tracer
    _span: Span | None = None

    @property
    def trace_context(self) -> TraceContext | None:
        """Within its own span, if it has one."""
        return self._span.context if self._span is not None else super().trace_context

    def process(self) -> None:
        method = self.method.decode("ascii") if self.method in _METHODS else "_OTHER"
        attributes: dict[str, Value] = {
            "http.request.method": method,
            "url.scheme": _scheme(self.channel),
            "url.path": _shown(self.uri.partition(b"?")[0]),
            "network.protocol.version": _shown(self.clientproto.removeprefix(b"HTTP/")),
            "client.address": self.client_address,
            "bazaar.request_id": self.request_id,
        }
        agent = self.requestHeaders.getRawHeaders(b"User-Agent")
        if agent:
            attributes["user_agent.original"] = _shown(agent[0])
        self._span = self.tracer.begin(_name(method), Kind.SERVER, self.trace_context, attributes)
        super().process()

    def answered(self, now: float) -> None:
        super().answered(now)
        self._end("")

    def connectionLost(self, reason: Failure) -> None:
        self._end("the client hung up")
        super().connectionLost(reason)

    def _end(self, error: str) -> None:
        span, self._span = self._span, None
        if span is None:
            return
        method = self.method.decode("ascii") if self.method in _METHODS else "_OTHER"
        if self.route != OTHER:
            span.rename(f"{_name(method)} {self.route}")
            span.set({"http.route": self.route})
        span.set({"http.response.status_code": self.code})
        if self.code >= 500:
            error = error or f"status {self.code}"
            span.set({"error.type": str(self.code)})
        span.end(error)


def trace_requests(site: BazaarSite, tracer: Tracer | None) -> None:
    """Have all further requests of `site` traced by `tracer`, if there is one."""
    if tracer is not None:
        bases = TracedRequest, site.requestFactory
        traced: Any = type("TracedRequest", bases, {"tracer": tracer})
        site.requestFactory = traced


def _name(method: str) -> str:
    return "HTTP" if method == "_OTHER" else method


def _shown(text: bytes) -> str:
    return text[:_SHOWN_CHARACTERS].decode("latin-1")


def _scheme(channel: Any) -> str:
    # Twisted's `isSecure` knows its own TLS only.
    return "https" if isinstance(channel.transport, TlsTransport) else "http"
