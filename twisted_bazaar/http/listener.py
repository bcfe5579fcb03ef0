"""The listening port of a site: starts and stops it, and lets requests under way finish."""

from typing import Any

from twisted.application.service import Service
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, TimeoutError, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_bazaar.errors import Unusable
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.runtime.endpoint import Endpoint
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.runtime.tcp import server_endpoint
from twisted_bazaar.security.contexts import Certificates

from .edge import EdgeCertificate, EdgeFiles, TlsEdge
from .site import BazaarSite

__all__ = ["GRACE_SECONDS", "Listener"]

BACKLOG = 1024
"""Connections that may wait to be accepted."""
GRACE_SECONDS = 5.0
"""How long requests under way may take when the service stops."""
_EVERYWHERE = ("0.0.0.0", "::")
"""Addresses of all interfaces, to which nothing can connect."""


class Listener(Service):
    """Serves `site` at `endpoint`, the endpoint string that `option` gave."""

    log = Logger()

    def __init__(
        self,
        reactor: Reactor,
        endpoint: str,
        site: BazaarSite,
        option: str = "--listen",
        certificates: Certificates | None = None,
    ) -> None:
        """With `certificates`, their holders are served."""
        self._certificates = certificates
        self._reactor = reactor
        self._endpoint = endpoint
        self._site = site
        self._option = option
        self._named = f"{option} {endpoint}"
        self._port: IListeningPort | None = None
        self.edge: EdgeCertificate | None = None
        """The certificate that clients are shown, once started; None: none."""

    def startService(self) -> None:
        """Raises `Unusable` if the endpoint cannot be listened on."""
        super().startService()
        failures: list[Failure] = []
        listening = self._endpoint_of().listen(self._site)
        # Endpoints are local: they have listened, or failed, when `listen` returns.
        listening.addCallbacks(self._listens, failures.append)
        for failure in failures:
            failure.trap(CannotListenError, OSError)
            raise Unusable(f"{self._named}: {failure.getErrorMessage()}")

    def _endpoint_of(self) -> IStreamServerEndpoint:
        """Where it listens. Raises `Unusable`."""
        endpoint = Endpoint.parse(self._endpoint)
        if not endpoint.is_tls:
            plain: IStreamServerEndpoint = serverFromString(self._reactor, self._endpoint)
            return plain if self._certificates is None else self._certificates.server(plain)
        if self._certificates is not None:
            raise Unusable(f"{self._named}: must be of kind tcp, as its TLS is by --certificates")
        try:
            certificate = EdgeCertificate(EdgeFiles.of(endpoint), self._reactor.seconds)
        except Unusable as why:
            raise Unusable(f"{self._named}: {why}") from None
        self.edge = certificate
        below = server_endpoint(self._reactor, Address(endpoint.host, endpoint.port))
        return TlsEdge(below, certificate, self._site.figures.failed_handshakes)

    def _listens(self, port: Any) -> None:
        self._port = port
        # With Twisted's backlog of 50, clients that connect at once wait for a second or more.
        port.socket.listen(BACKLOG)
        self.log.info("{option}: serves HTTP at {where}", option=self._option, where=self.url)

    @property
    def url(self) -> str:
        """Where it is reached, once started; the endpoint, if that is not by TCP."""
        assert self._port is not None, "not started"
        at = self._port.getHost()
        if not isinstance(at, IPv4Address | IPv6Address):
            return self._endpoint
        is_tls = self._certificates is not None or self.edge is not None
        scheme = "https" if is_tls else "http"
        host = "localhost" if at.host in _EVERYWHERE else at.host
        return f"{scheme}://{Address(host, at.port)}"

    @property
    def address(self) -> Address:
        """The host and port that it listens at, once started.

        Raises `Unusable` if another machine could not connect to that.
        """
        assert self._port is not None, "not started"
        at = self._port.getHost()
        if not isinstance(at, IPv4Address | IPv6Address) or at.host in _EVERYWHERE:
            raise Unusable(f"{self._named}: --advertise must say at which HOST:PORT it is reached")
        return Address(at.host, at.port)

    def stopService(self) -> Deferred[None]:
        """Stop listening, and answer the requests under way, within `GRACE_SECONDS`."""
        super().stopService()
        stopped = Deferred.fromCoroutine(self._stop())
        stopped.addTimeout(GRACE_SECONDS, self._reactor)
        return stopped.addErrback(_too_slow)

    async def _stop(self) -> None:
        if self._port is not None:
            await maybeDeferred(self._port.stopListening)
        await self._site.drain()


def _too_slow(failure: Failure) -> None:
    failure.trap(TimeoutError)
