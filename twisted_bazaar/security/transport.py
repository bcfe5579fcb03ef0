"""Mutual TLS between a connection and the protocol that uses it.

Twisted's own TLS goes through pyOpenSSL and writes at the end of the reactor's turn. This one goes
through `ssl`, which takes less than half as long for a short message, and lets `write_now` write at
once. It buffers nothing once the handshake is over, so that the connection below tells a producer
when to pause.
"""

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectingCancelledError, ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IPushProducer,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
    ITransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_bazaar.errors import InvariantBroken
from twisted_bazaar.runtime.writing import WritesNow, write_now

from .roles import Identity, Role

__all__ = [
    "NotAdmitted",
    "NothingSent",
    "TlsClientEndpoint",
    "TlsServerEndpoint",
    "TlsTransport",
    "in_words",
    "role_of",
]

_MOST = 16 * 1024
"""Bytes that are decrypted at a time: what a record has at most, so that nothing of one is left."""


class NotAdmitted(Exception):
    """The other end has shown no certificate of this bazaar, or not the one that is meant."""


class NothingSent(NotAdmitted):
    """So it is, and nothing of what was written was sent: the handshake did not end."""


def role_of(transport: Any) -> Role | None:
    """The role of the other end; None: the connection is in plain text, or its TLS is that for
    clients. Raises `InvariantBroken` before the handshake is over: that would be taken for plain
    text, in which all may be called."""
    if not isinstance(transport, TlsTransport):
        return None
    if not transport.is_open:
        raise InvariantBroken("the role of a connection is not known yet")
    return transport.role


Begin = Callable[[ssl.MemoryBIO, ssl.MemoryBIO], ssl.SSLObject]
"""Makes one end of a connection, which reads from the first and writes to the second."""
Mistake = Callable[[Role | None], str | None]
"""Says why a role is not that of the other end; None: it is. Its argument is None if a certificate
names no role."""
Refused = Callable[[str, str], None]
"""Is told of a connection that was given up: the address of the other end, and why."""


@implementer(ITransport, IPushProducer)
class TlsTransport(Protocol, WritesNow):
    """The protocol of a connection, and the transport of `protocol`, which is connected at once:
    what it writes waits for the handshake."""

    def __init__(
        self,
        protocol: Any,
        begin: Begin,
        mistake: Mistake,
        refused: Refused,
    ) -> None:
        self.protocol = protocol
        self.role: Role | None = None
        """Of the other end, once the handshake is over."""
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = begin(self._incoming, self._outgoing)
        self._mistake = mistake
        self._refused = refused
        self._out: Any = None
        self._early: list[bytes] = []
        """What waits for the handshake."""
        self._open = False
        """Whether the handshake is over."""
        self._closing = False
        """Whether nothing more is written."""
        self._ends_writing = False
        """Whether that is so once the handshake is over and what waits for it is written."""
        self._why: Exception | None = None
        """Why the connection ends, if not for a reason of the connection below."""
        self._opening: Deferred[Any] | None = None
        """Waits for the end of the handshake."""

    # Called by the connection below.

    def connectionMade(self) -> None:
        self._out = self.transport
        self._out.setTcpNoDelay(True)
        self.protocol.makeConnection(self)
        if not self._tls.server_side:
            self._shake_hands()

    def dataReceived(self, data: bytes) -> None:
        if self._why is not None:
            return
        incoming = self._incoming
        incoming.write(data)
        if not (self._open or self._shake_hands()):
            return
        parts: list[bytes] = []
        ended = False
        try:
            while incoming.pending:
                part = self._tls.read(_MOST)
                if not part:
                    ended = True
                    break
                parts.append(part)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as why:
            self._fail(in_words(why))
            return
        if self._outgoing.pending:
            self._flush()
        if parts and self.protocol is not None:
            self.protocol.dataReceived(parts[0] if len(parts) == 1 else b"".join(parts))
        if ended:
            # The other end has written its last.
            self.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._closing = True
        self._early.clear()
        protocol, self.protocol = self.protocol, None
        if self._why is not None:
            reason = Failure(self._why)
        elif not self._open and reason.check(ConnectionDone):
            reason = Failure(NothingSent("the other end gave up the TLS handshake"))
        protocol.connectionLost(reason)
        if (opening := self._opening) is not None:
            self._opening = None
            why = reason.value
            opening.errback(why if isinstance(why, NothingSent) else NothingSent(str(why)))

    def _shake_hands(self) -> bool:
        """Go on with the handshake. Returns whether it is over."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        except ssl.SSLError as why:
            self._fail(in_words(why))
            return False
        role = _role_in(self._tls)
        if (mistake := self._mistake(role)) is not None:
            self._fail(mistake)
            return False
        self.role = role
        self._open = True
        early, self._early = self._early, []
        for data in early:
            self._encrypt(data)
        self._flush()
        if self._ends_writing:
            self._closing = False
            self.loseWriteConnection()
        if (opening := self._opening) is not None:
            self._opening = None
            opening.callback(self.protocol)
        return True

    def _fail(self, why: str) -> None:
        """The other end is not to be spoken with."""
        peer = self._out.getPeer()
        self._refused(getattr(peer, "host", "a local socket"), why)
        self._why = NotAdmitted(why) if self._open else NothingSent(why)
        self._closing = True
        # An alert.
        self._flush()
        self._out.loseConnection()

    def _encrypt(self, data: bytes) -> None:
        sent = self._tls.write(data)
        while sent < len(data):
            sent += self._tls.write(data[sent:])

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._out.write(self._outgoing.read())

    # Called by the protocol above.

    @property
    def is_open(self) -> bool:
        """Whether the handshake is over."""
        return self._open

    def opened(self) -> Deferred[Any]:
        """Fires with the protocol once the handshake is over, and fails with `NothingSent` if the
        connection ends before. Cancelling it closes the connection, and is a
        `ConnectingCancelledError`. To be called once, right after the connection is made."""

        def give_up(opening: Deferred[Any]) -> None:
            self._opening = None
            self.abortConnection()
            opening.errback(ConnectingCancelledError(self.getPeer()))

        assert not self._open
        self._opening = Deferred(give_up)
        return self._opening

    @property
    def disconnecting(self) -> bool:
        """Whether the connection is to be closed."""
        return self._closing

    def write(self, data: bytes) -> None:
        if self._closing or not data:
            return
        if self._open:
            self._encrypt(data)
            self._out.write(self._outgoing.read())
        else:
            self._early.append(data)

    def write_now(self, data: bytes) -> None:
        if self._open and not self._closing and data:
            self._encrypt(data)
            write_now(self._out, self._outgoing.read())
        else:
            self.write(data)

    def writeSequence(self, data: Any) -> None:  # noqa: N802 - Twisted's name
        self.write(b"".join(data))

    def loseConnection(self) -> None:  # noqa: N802 - Twisted's name
        """Close the connection once all is written. Without a handshake, nothing is."""
        if not self._open:
            self.abortConnection()
            return
        self._say_goodbye()
        self._out.loseConnection()

    def loseWriteConnection(self) -> None:  # noqa: N802 - Twisted's name
        """Write no more, but go on reading. What was written before waits for the handshake: a
        connection that is refused is told so."""
        if not self._open:
            self._closing = self._ends_writing = True
            return
        self._say_goodbye()
        self._out.loseWriteConnection()

    def _say_goodbye(self) -> None:
        if self._closing:
            return
        self._closing = True
        # It would wait for the other end's.
        with suppress(ssl.SSLError):
            self._tls.unwrap()
        self._flush()

    def abortConnection(self) -> None:  # noqa: N802 - Twisted's name
        """Close the connection at once."""
        self._closing = True
        self._out.abortConnection()

    def getPeer(self) -> IAddress:  # noqa: N802 - Twisted's name
        address: IAddress = self._out.getPeer()
        return address

    def getHost(self) -> IAddress:
        address: IAddress = self._out.getHost()
        return address

    def getHandle(self) -> socket.socket:  # noqa: N802 - Twisted's name
        """The socket."""
        handle: socket.socket = self._out.getHandle()
        return handle

    def setTcpNoDelay(self, enabled: bool) -> None:  # noqa: N802 - Twisted's name
        self._out.setTcpNoDelay(enabled)

    def registerProducer(self, producer: Any, streaming: bool) -> None:  # noqa: N802
        self._out.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:  # noqa: N802 - Twisted's name
        self._out.unregisterProducer()

    def pauseProducing(self) -> None:
        self._out.pauseProducing()

    def resumeProducing(self) -> None:
        self._out.resumeProducing()

    def stopProducing(self) -> None:
        self.loseConnection()


class TlsFactory(Factory):
    """Makes connections of TLS for the protocols that `inner` makes."""

    noisy = False

    def __init__(self, inner: Any, begin: Begin, mistake: Mistake, refused: Refused) -> None:
        self._inner = inner
        self._begin = begin
        self._mistake = mistake
        self._refused = refused

    def doStart(self) -> None:  # noqa: N802 - Twisted's name
        self._inner.doStart()

    def doStop(self) -> None:  # noqa: N802 - Twisted's name
        self._inner.doStop()

    def buildProtocol(self, addr: IAddress | None) -> TlsTransport | None:
        protocol = self._inner.buildProtocol(addr)
        if protocol is None:
            return None
        return TlsTransport(protocol, self._begin, self._mistake, self._refused)


@implementer(IStreamServerEndpoint)
class TlsServerEndpoint:
    """Listens on another endpoint, for callers with a role."""

    def __init__(
        self,
        endpoint: IStreamServerEndpoint,
        context: Callable[[], ssl.SSLContext],
        refused: Refused,
    ) -> None:
        """`context` returns that of a new connection."""
        self._endpoint = endpoint
        self._context = context
        self._refused = refused

    def listen(self, protocolFactory: Any) -> Deferred[IListeningPort]:  # noqa: N803
        """Fails as that of the other endpoint does."""
        tls = TlsFactory(protocolFactory, self._begin, _nobody, self._refused)
        return self._endpoint.listen(tls)

    def _begin(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> ssl.SSLObject:
        return self._context().wrap_bio(incoming, outgoing, server_side=True)


def _nobody(role: Role | None) -> str | None:
    return "its certificate names no role" if role is None else None


@implementer(IStreamClientEndpoint)
class TlsClientEndpoint:
    """Connects to another endpoint, where a server of one role listens. The protocol is connected
    before the handshake; what it writes waits for it."""

    def __init__(
        self,
        endpoint: IStreamClientEndpoint,
        context: Callable[[], ssl.SSLContext],
        role: Role,
        refused: Refused,
    ) -> None:
        """`context` returns that of a new connection."""
        self._endpoint = endpoint
        self._context = context
        self._role = role
        self._refused = refused

    def connect(self, protocolFactory: Any) -> Deferred[Any]:  # noqa: N803
        """Fires with the protocol, or fails as that of the other endpoint does."""
        tls: Any = TlsFactory(protocolFactory, self._begin, self._mistake, self._refused)
        connected: Deferred[Any] = self._endpoint.connect(tls)
        return connected.addCallback(lambda transport: transport.protocol)

    def _begin(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> ssl.SSLObject:
        return self._context().wrap_bio(incoming, outgoing)

    def _mistake(self, role: Role | None) -> str | None:
        if role == self._role:
            return None
        return f"its certificate is that of {role or 'no role'}, not of {self._role}"


def _role_in(tls: ssl.SSLObject) -> Role | None:
    """The role in the certificate of the other end, which is verified; None: it names none."""
    certificate = tls.getpeercert()
    names: Any = () if certificate is None else certificate.get("subjectAltName", ())
    uris = [name for kind, name in names if kind == "URI"]
    try:
        # A certificate is for one role.
        return Identity.parse(uris[0]).role if len(uris) == 1 else None
    except ValueError:
        return None


_EARLY, _EXPIRED = 9, 10
"""OpenSSL's numbers for what is wrong with a certificate."""
_NO_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "UNSUPPORTED_PROTOCOL"}


def in_words(why: ssl.SSLError) -> str:
    """What is wrong with the other end."""
    if isinstance(why, ssl.SSLCertVerificationError):
        if why.verify_code == _EXPIRED:
            return "its certificate has expired"
        if why.verify_code == _EARLY:
            return (
                "its certificate is not valid yet: the clock here, or where it was made, is wrong"
            )
        return f"its certificate is not trusted: {why.verify_message}"
    reason = why.reason or "unknown"
    if reason in _NO_TLS:
        return "it does not speak TLS 1.3"
    if reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return "it shows no certificate"
    said = reason.lower().replace("_", " ")
    if "ALERT" in reason:
        return f"it refuses this process's certificate: {said}"
    return f"TLS: {said}"
