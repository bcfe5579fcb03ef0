"""TLS to servers that are known by their host names: a Redis, or a front-end from outside."""

import ssl
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from zope.interface import implementer

from .transport import TlsFactory

__all__ = ["TrustingEndpoint"]


@implementer(IStreamClientEndpoint)
class TrustingEndpoint:
    """Connects to another endpoint, where a server listens whose certificate is for `host`. The
    protocol is connected before the handshake; what it writes waits for it."""

    def __init__(self, endpoint: IStreamClientEndpoint, host: str, context: ssl.SSLContext) -> None:
        """`context` trusts whom the server is to be known by."""
        self._endpoint = endpoint
        self._host = host
        self._context = context

    def connect(self, protocolFactory: Any) -> Deferred[Any]:  # noqa: N803
        """Fires with the protocol, or fails as that of the other endpoint does."""
        tls: Any = TlsFactory(protocolFactory, self._begin, lambda _: None, lambda *_: None)
        connected: Deferred[Any] = self._endpoint.connect(tls)
        return connected.addCallback(lambda transport: transport.protocol)

    def _begin(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> ssl.SSLObject:
        return self._context.wrap_bio(incoming, outgoing, server_hostname=self._host)
