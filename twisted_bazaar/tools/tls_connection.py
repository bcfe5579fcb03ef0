"""HTTP to a port inside a bazaar that speaks mutual TLS, for tools."""

import http.client
import ssl
from pathlib import Path

from twisted_bazaar.security.contexts import context_of
from twisted_bazaar.security.folder import CertificateFolder
from twisted_bazaar.security.roles import Role

__all__ = ["connect_inside"]


def connect_inside(
    host: str, port: int, certificates: Path | None, own: Role, server: Role, timeout: float
) -> http.client.HTTPConnection:
    """A connection that is made with the first request: as `own`, to a server with the role
    `server`, by what is in the folder `certificates`; None: in plain text. Raises `Unusable` if the
    certificate cannot be used; requests raise OSError as others do."""
    if certificates is None:
        return http.client.HTTPConnection(host, port, timeout=timeout)
    folder = CertificateFolder(certificates)
    folder.read(own)
    context = context_of(folder, own, ssl.PROTOCOL_TLS_CLIENT)
    return _TlsConnection(host, port, timeout, context, server)


class _TlsConnection(http.client.HTTPConnection):
    """A `http.client.HTTPSConnection` would look for the host that it connects to in the
    certificate."""

    def __init__(
        self, host: str, port: int, timeout: float, context: ssl.SSLContext, server: Role
    ) -> None:
        super().__init__(host, port, timeout=timeout)
        self._context = context
        self._context.check_hostname = True
        self._server = server

    def connect(self) -> None:
        super().connect()
        self.sock = self._context.wrap_socket(self.sock, server_hostname=self._server.host_name)
