"""HTTP requests that block, over the standard library: one kept connection to a server, or one for
a stream; by TLS where the URL is one of HTTPS."""

import http.client
import select
import socket
import ssl
import time
from typing import Any
from urllib.parse import urlsplit

from .answers import Answer, Broken
from .requests import Request, authorization

__all__ = ["Connection", "trusting"]

CHUNK_BYTES = 1 << 16
SHORTEST_SECONDS = 0.001


class _Bounded(socket.socket):
    """A socket that is used until a moment, not for some time at each call: a server that sends a
    byte now and then does not keep its client any longer."""

    _ends = 0.0

    def end_in(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds

    def recv_into(self, *arguments: Any) -> int:
        self._bound()
        return super().recv_into(*arguments)

    def sendall(self, *arguments: Any) -> None:
        self._bound()
        super().sendall(*arguments)

    def send(self, *arguments: Any) -> int:
        # `sendall` of a socket with TLS makes many of these.
        self._bound()
        return super().send(*arguments)

    def _bound(self) -> None:
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError("no answer in time")
        self.settimeout(left)


class _Secure(_Bounded, ssl.SSLSocket):
    """One with TLS."""


def trusting(file: str | None) -> ssl.SSLContext:
    """Trusts the certificates in `file`, PEM; None: those that this system trusts, also the ones
    in the file that SSL_CERT_FILE names. Raises OSError if it cannot be read, or holds none."""
    context = ssl.create_default_context(cafile=file)
    context.sslsocket_class = _Secure
    return context


class Connection:
    """To the server of `url`: made when it is needed, and kept. For one request at a time."""

    def __init__(
        self, url: str, api_key: str | None = None, context: ssl.SSLContext | None = None
    ) -> None:
        """`api_key` is sent with each request; None: none is. `context` is `trusting` whom a server
        is to be known by, for a URL of HTTPS; None: whom this system trusts."""
        self._headers = authorization(api_key)
        address = urlsplit(url)
        self._context = None
        kind: type[http.client.HTTPConnection] = http.client.HTTPConnection
        if address.scheme == "https":
            self._context = context or trusting(None)
            kind = http.client.HTTPSConnection
        port = address.port or kind.default_port
        self._http = http.client.HTTPConnection(address.hostname or "", port)
        # It is left out of the header Host.
        self._http.default_port = kind.default_port
        self._path = address.path
        self._socket: _Bounded | None = None
        self._response: http.client.HTTPResponse | None = None
        """The last one: it keeps its socket open until its body is read."""

    def send(self, request: Request, seconds: float) -> Answer | Broken:
        """Send it, and wait so many seconds for the whole answer."""
        return self._ask(request, seconds, stream=False)

    def open(self, request: Request, seconds: float) -> Answer | Broken:
        """As `send`; but if the status is 200, the body is left for `read`."""
        return self._ask(request, seconds, stream=True)

    def read(self, seconds: float) -> bytes:
        """The next bytes of the stream; none: it has ended, broken, or was silent so long."""
        assert self._socket is not None
        assert self._response is not None
        try:
            self._socket.end_in(seconds)
            return self._response.read1(CHUNK_BYTES)
        except (OSError, http.client.HTTPException):
            return b""

    def close(self) -> None:
        if self._response is not None:
            self._response.close()
        self._http.close()

    def _ask(self, request: Request, seconds: float, *, stream: bool) -> Answer | Broken:
        began = time.monotonic()
        # Zero would not wait for the connection, and fail as if there were none.
        seconds = max(SHORTEST_SECONDS, seconds)
        try:
            connection = self._connected(seconds)
        except OSError as why:
            self.close()
            if isinstance(why, TimeoutError):
                return Broken("no connection in time", served=False, late=True)
            return Broken(f"no connection: {why}", served=False)
        try:
            connection.end_in(began + seconds - time.monotonic())
            self._http.request(
                *(request.method, self._path + request.target, request.body),
                {**request.headers, **self._headers},
            )
            self._response = response = self._http.getresponse()
            body = b"" if stream and response.status == 200 else response.read()
        except (OSError, http.client.HTTPException) as why:
            self.close()
            if isinstance(why, TimeoutError):
                return Broken("no answer in time", late=True)
            return Broken(f"the connection broke: {why or why.__class__.__name__}")
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, body)

    def _connected(self, seconds: float) -> _Bounded:
        if self._http.sock is not None and _is_over(self._http.sock):
            self._http.close()
        if self._http.sock is None or self._socket is None:
            self._socket = self._http.sock = self._connect(seconds)
        return self._socket

    def _connect(self, seconds: float) -> _Bounded:
        ends = time.monotonic() + seconds
        plain = socket.create_connection((self._http.host, self._http.port), seconds)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._context is None:
            return _Bounded(fileno=plain.detach())
        # For the handshake as a whole.
        plain.settimeout(max(SHORTEST_SECONDS, ends - time.monotonic()))
        try:
            secure = self._context.wrap_socket(plain, server_hostname=self._http.host)
        except BaseException:
            plain.close()
            raise
        assert isinstance(secure, _Secure)
        return secure


def _is_over(sock: socket.socket) -> bool:
    """Whether an idle connection was closed by the server: then a request on it would break."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
