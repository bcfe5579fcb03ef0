"""TLS for clients: the certificate of an endpoint of kind `ssl` or `tls`, and how it is renewed.

The files are those that Twisted's endpoint names, and are looked at again when a connection comes:
whatever renews a certificate needs to tell no process. Connections that stand keep theirs.
"""

import os
import ssl
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from stat import S_ISREG
from typing import Any

import attrs
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from twisted.logger import Logger
from zope.interface import implementer

from twisted_bazaar.errors import Unusable
from twisted_bazaar.metrics.figures import Counter
from twisted_bazaar.runtime.endpoint import Endpoint
from twisted_bazaar.runtime.file_state import FileState, file_state
from twisted_bazaar.security.authority import read_certificates, seconds_left
from twisted_bazaar.security.transport import TlsFactory

__all__ = ["CHECK_SECONDS", "EdgeCertificate", "EdgeFiles", "TlsEdge"]

CHECK_SECONDS = 1.0
"""Between two looks at the files, while connections come."""


@attrs.frozen
class EdgeFiles:
    """The files of a certificate, PEM."""

    key: Path
    certificate: Path
    """With the certificates of its issuers, or without."""
    chain: Path | None = None
    """Those of its issuers."""
    dh_parameters: Path | None = None
    """For clients of TLS 1.2 that have no elliptic curves."""

    @classmethod
    def of(cls, endpoint: Endpoint) -> "EdgeFiles":
        """Those that an endpoint which `is_tls` names. As with Twisted's, the key is in
        `server.pem` if nothing else is said, and the certificate beside the key."""
        named = endpoint.arguments
        key = named.get("privateKey", "server.pem")
        chain, parameters = named.get("extraCertChain"), named.get("dhParameters")
        return cls(
            Path(key),
            Path(named.get("certKey", key)),
            Path(chain) if chain else None,
            Path(parameters) if parameters else None,
        )

    def state(self) -> tuple[FileState | None, ...]:
        """Another one once a file has changed."""
        return tuple(file_state(path) for path in attrs.astuple(self) if path is not None)

    def load(self) -> "tuple[ssl.SSLContext, x509.Certificate]":
        """A context for new connections, and the certificate. Raises `Unusable`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        # What it is not told a client may take for HTTP/2.
        context.set_alpn_protocols(["http/1.1"])
        shown = [*_certificates(self.certificate)]
        if self.chain is not None:
            shown += _certificates(self.chain)
        _read(self.key)
        if self.dh_parameters is not None:
            _read(self.dh_parameters)
            try:
                context.load_dh_params(os.fspath(self.dh_parameters))
            except (ssl.SSLError, OSError) as why:
                raise Unusable(f"{self.dh_parameters} holds no parameters: {why}") from None
        try:
            # It reads files only. What is in this one is public: the key may be in the same file as
            # the certificate, and stays there.
            with tempfile.NamedTemporaryFile() as both:
                both.writelines(each.public_bytes(Encoding.PEM) for each in shown)
                both.flush()
                # Without a password it would ask for one on the terminal.
                context.load_cert_chain(both.name, self.key, lambda: "")
        except (ssl.SSLError, OSError) as why:
            files = f"{self.certificate} and {self.key}"
            raise Unusable(f"{files} are no certificate with its key: {why}") from None
        return context, shown[0]


def _certificates(path: Path) -> Sequence[x509.Certificate]:
    pem = _read(path)
    try:
        return read_certificates(pem)
    except Unusable as why:
        raise Unusable(f"{path}: {why}") from None


def _read(path: Path) -> bytes:
    try:
        if not S_ISREG(path.stat().st_mode):
            # To read a pipe would wait for who writes to it.
            raise Unusable(f"{path} is no file")
        return path.read_bytes()
    except OSError as why:
        raise Unusable(f"{path} cannot be read: {why.strerror}") from None


class EdgeCertificate:
    """The certificate that clients are shown. A new one that cannot be used is not: the one before
    stays, and the log says why."""

    log = Logger()

    def __init__(self, files: EdgeFiles, seconds: Callable[[], float]) -> None:
        """`seconds` is a clock that never goes back. Raises `Unusable`."""
        self._files = files
        self._seconds = seconds
        self._look_again_at = seconds() + CHECK_SECONDS
        # Before they are read: what changes meanwhile is read again.
        self._seen = files.state()
        self._context, self._certificate = files.load()
        self._wrong = ""
        """Why what is in the files now is not in force, as the log says; empty: it is."""

    def context(self) -> ssl.SSLContext:
        """That of a new connection."""
        now = self._seconds()
        if now >= self._look_again_at:
            self._look_again_at = now + CHECK_SECONDS
            self._look()
        return self._context

    def _look(self) -> None:
        state = self._files.state()
        if state == self._seen:
            return
        try:
            self._context, self._certificate = self._files.load()
        except Unusable as why:
            # It is tried again, though the files stay as they are: there may be too many open files
            # now.
            if self._wrong != str(why):
                self._wrong = str(why)
                self.log.error(
                    "the new certificate for clients is not used: {why}", why=self._wrong
                )
            return
        self._seen = state
        self._wrong = ""
        self.log.info(
            "the certificate for clients was read again from {file}",
            file=self._files.certificate,
        )

    def seconds_left(self, now: float) -> float:
        """For how long it is still valid. `now` is in seconds since 1970."""
        return seconds_left(self._certificate, now)


@implementer(IStreamServerEndpoint)
class TlsEdge:
    """Listens on another endpoint, for any client that speaks TLS."""

    def __init__(
        self, endpoint: IStreamServerEndpoint, certificate: EdgeCertificate, failed: Counter
    ) -> None:
        """`failed` counts the connections that are given up in the handshake."""
        self._endpoint = endpoint
        self._certificate = certificate
        self._failed = failed

    def listen(self, protocolFactory: Any) -> Deferred[IListeningPort]:  # noqa: N803
        """Fails as that of the other endpoint does."""
        tls = TlsFactory(protocolFactory, self._begin, lambda _: None, self._gave_up)
        return self._endpoint.listen(tls)

    def _begin(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> ssl.SSLObject:
        context = self._certificate.context()
        return context.wrap_bio(incoming, outgoing, server_side=True)

    def _gave_up(self, peer: str, why: str) -> None:
        # No line in the log: anybody may connect and say anything.
        self._failed.value += 1
