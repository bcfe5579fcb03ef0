"""TLS to servers that are not of the bazaar, such as a Redis: they are known by their host names,
and trusted by whom this system trusts.
"""

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

    def __init__(self, endpoint: IStreamClientEndpoint, host: str) -> None:
        self._endpoint = endpoint
        self._host = host
        # Also what SSL_CERT_FILE names.
        self._context = ssl.create_default_context()

    def connect(self, protocolFactory: Any) -> Deferred[Any]:  # noqa: N803
        """Fires with the protocol, or fails as that of the other endpoint does."""
        tls: Any = TlsFactory(protocolFactory, self._begin, lambda _: None, lambda *_: None)
        connected: Deferred[Any] = self._endpoint.connect(tls)
        return connected.addCallback(lambda transport: transport.protocol)

    def _begin(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> ssl.SSLObject:
        return self._context.wrap_bio(incoming, outgoing, server_hostname=self._host)
