"""The access log of a site: one event for each request, once its answer is complete or its client
has hung up. It costs more than a lookup does, so a site has one only if it is asked for.

A line holds no query, no body and no header with a secret: these may hold keys of trades, and API
keys. It names the client that has shown an API key.
"""

from typing import TYPE_CHECKING

from twisted.logger import Logger

from .figures import CLIENT_GONE
from .refusals import Refusal

if TYPE_CHECKING:
    from .channel import BazaarChannel
    from .site import BazaarRequest

__all__ = ["AccessLog"]

_ANSWERED = '{client} "{method} {path}" {code} {bytes} bytes in {seconds:.4f} s'
_ANSWERED_CALLER = f"{{caller}} at {_ANSWERED}"
_NO_REQUEST = "{client} sent no request: {code} {bytes} bytes"


class AccessLog:
    """Writes the events."""

    log = Logger()

    def answered(self, request: "BazaarRequest", now: float) -> None:
        """The answer has been written."""
        self._write(request, request.code, request.sentLength, now)

    def hung_up(self, request: "BazaarRequest", is_stream: bool, now: float) -> None:
        """The connection has ended, and the answer was not complete. A stream has no other end, and
        keeps its own status."""
        code = request.code if is_stream else CLIENT_GONE
        self._write(request, code, request.sentLength, now)

    def refused(
        self, channel: "BazaarChannel", refusal: Refusal, body: bytes, request_id: str, now: float
    ) -> None:
        """`refusal` was the answer before the request was complete, or to what is none."""
        if channel.requests:
            self._write(channel.requests[-1], refusal.code, len(body), now)
            return
        self.log.info(
            _NO_REQUEST,
            client=channel.client_address,
            code=refusal.code,
            bytes=len(body),
            request_id=request_id,
        )

    def _write(self, request: "BazaarRequest", code: int, size: int, now: float) -> None:
        context = request.trace_context
        agents = request.requestHeaders.getRawHeaders(b"User-Agent")
        caller = request.caller.name
        self.log.info(
            _ANSWERED_CALLER if caller else _ANSWERED,
            caller=caller or None,
            client=request.client_address,
            method=request.method.decode("ascii", "backslashreplace"),
            path=request.shown_path,
            route=request.route,
            code=code,
            bytes=size,
            seconds=round(now - request.begun_at, 6),
            request_id=request.request_id,
            trace_id=None if context is None else context.trace_id,
            user_agent=agents[0].decode("utf-8", "backslashreplace") if agents else None,
        )
