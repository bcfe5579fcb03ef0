"""The TLS contexts of one process, made of the files of its role, and made anew when these change.

Connections that stand go on with the certificates that they began with. OpenSSL reads a private key
from a file only, so that the files may change while a context is made: then it fails, or the files
look changed a second later, and they are read again.
"""

import os
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from stat import S_IMODE, S_IRWXO

import attrs
from twisted.application.service import Service
from twisted.internet.interfaces import (
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from twisted_bazaar.errors import Unusable
from twisted_bazaar.runtime.file_state import FileState, file_state
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.runtime.seldom import Seldom

from .authority import SOON_SECONDS, identity_of
from .folder import CertificateFolder
from .roles import Role
from .transport import TlsClientEndpoint, TlsServerEndpoint

__all__ = ["CHECK_SECONDS", "Certificates", "Pem", "context_of"]

CHECK_SECONDS = 1.0
"""Between two looks at the files."""


@attrs.frozen
class Pem:
    """The content of the files, for a library that takes that."""

    authorities: bytes
    certificate: bytes
    key: bytes = attrs.field(repr=False)


@attrs.frozen
class _Loaded:
    server: ssl.SSLContext
    client: ssl.SSLContext
    pem: Pem
    ends: Mapping[str, float]
    """When the certificates expire, in seconds since 1970: that of the role, and of `ca` the one
    that expires first."""
    begin: float
    """When the certificate of the role begins to be valid."""
    bazaar: str
    """The name of the one that they are for."""


class Certificates(Service):
    """Those of `role` in `folder`. From `startService` to `stopService` it looks each second
    whether the files have changed. New ones that cannot be used are not: the former ones stay."""

    log = Logger()

    def __init__(
        self, reactor: Reactor, folder: Path, role: Role, wall: Callable[[], float]
    ) -> None:
        """`wall` shows seconds since 1970. Raises `Unusable` if the files cannot be used."""
        self.role = role
        self._reactor = reactor
        self._folder = CertificateFolder(folder)
        self._wall = wall
        self._seen = self._state()
        self._loaded = self._load()
        self._wrong = ""
        """Why what is in the files now is not in force, as the log says; empty: it is."""
        self._changed: list[Callable[[], None]] = []
        self._checking = LoopingCall(self._check)
        self._checking.clock = reactor
        self._refusals = Seldom()

    @property
    def pem(self) -> Pem:
        """The content of the files."""
        return self._loaded.pem

    def on_change(self, changed: Callable[[], None]) -> None:
        """Call `changed` after other certificates have been read."""
        self._changed.append(changed)

    def seconds_left(self) -> Mapping[str, float]:
        """For how long the certificates are valid: that of this role, and the authority's, which
        is called `ca`."""
        now = self._wall()
        return {name: end - now for name, end in self._loaded.ends.items()}

    def server(self, endpoint: IStreamServerEndpoint) -> IStreamServerEndpoint:
        """`endpoint` for those who have a role in this bazaar."""
        return TlsServerEndpoint(endpoint, lambda: self._loaded.server, self.refused)

    def client(self, endpoint: IStreamClientEndpoint, role: Role) -> IStreamClientEndpoint:
        """`endpoint`, where a server with `role` listens."""
        return TlsClientEndpoint(endpoint, lambda: self._loaded.client, role, self.refused)

    def refused(self, peer: str, why: str) -> None:
        """A connection with `peer` was given up. Logs it, at a bounded rate."""
        more = self._refusals.held_back(self._reactor.seconds())
        if more is None:
            return
        self.log.warn(
            "a connection with {peer} was given up: {why} "
            "({more} more since the last line like this)",
            peer=peer,
            why=why,
            more=more,
        )

    def startService(self) -> None:
        super().startService()
        self._say_what_is_wrong()
        self._checking.start(CHECK_SECONDS, now=False)

    def stopService(self) -> None:
        super().stopService()
        self._checking.stop()

    def _check(self) -> None:
        state = self._state()
        if state == self._seen:
            return
        try:
            loaded = self._load()
            self._check_is_better(loaded)
        except Unusable as why:
            # They are tried again, though the files stay as they are: there may be too many open
            # files now.
            if self._wrong != str(why):
                self._wrong = str(why)
                self.log.error("new certificates are not used: {why}", why=self._wrong)
            return
        self._seen = state
        self._wrong = ""
        if loaded.pem == self._loaded.pem:
            return
        self._loaded = loaded
        self.log.info("certificates were read again from {folder}", folder=self._folder.path)
        self._say_what_is_wrong()
        for changed in self._changed:
            changed()

    def _check_is_better(self, new: _Loaded) -> None:
        """Raises `Unusable` if those in force work, and the others would refuse `new` ones."""
        now, name = self._wall(), str(self.role)
        if new.bazaar != self._loaded.bazaar:
            raise Unusable(
                f"{self._folder.path} is of bazaar {new.bazaar}, not of {self._loaded.bazaar}"
            )
        if not new.begin <= now < new.ends[name] and now < self._loaded.ends[name]:
            raise Unusable(f"{self._folder.certificate(self.role)} is not valid at this time")

    def _say_what_is_wrong(self) -> None:
        if (early := self._loaded.begin - self._wall()) > 0:
            self.log.error(
                "{folder}: the certificate of {name} is not valid for another {days:.1f} days: "
                "is the clock right?",
                folder=self._folder.path,
                name=str(self.role),
                days=early / 86_400,
            )
        for name, left in self.seconds_left().items():
            if left <= 0:
                self.log.error(
                    "{folder}: the certificate of {name} has expired: the other services refuse it",
                    folder=self._folder.path,
                    name=name,
                )
            elif left < SOON_SECONDS:
                self.log.warn(
                    "{folder}: the certificate of {name} expires in {days:.1f} days",
                    folder=self._folder.path,
                    name=name,
                    days=left / 86_400,
                )

        key = self._folder.key(self.role)
        with suppress(OSError):
            if (mode := S_IMODE(key.stat().st_mode)) & S_IRWXO:
                self.log.warn("{key}: open to other users (mode {mode:o})", key=key, mode=mode)

    def _files(self) -> tuple[Path, Path, Path]:
        folder = self._folder
        return folder.authority_file, folder.certificate(self.role), folder.key(self.role)

    def _state(self) -> tuple[FileState | None, ...]:
        """Another one once a file has changed."""
        return tuple(map(file_state, self._files()))

    def _load(self) -> _Loaded:
        folder, role = self._folder, self.role
        certificate, authorities = folder.read(role), folder.authorities()
        ends = {
            str(role): certificate.not_valid_after_utc.timestamp(),
            "ca": min(each.not_valid_after_utc.timestamp() for each in authorities),
        }
        try:
            pem = Pem(*(path.read_bytes() for path in self._files()))
        except OSError as why:
            raise Unusable(f"{why.filename} cannot be read: {why.strerror}") from None
        server = context_of(folder, role, ssl.PROTOCOL_TLS_SERVER)
        client = context_of(folder, role, ssl.PROTOCOL_TLS_CLIENT)
        begin = certificate.not_valid_before_utc.timestamp()
        identity = identity_of(certificate)
        return _Loaded(server, client, pem, ends, begin, identity.bazaar if identity else "")


def context_of(folder: CertificateFolder, role: Role, protocol: int) -> ssl.SSLContext:
    """A context of `ssl` for one end of a connection between two roles. Raises `Unusable`.

    It checks no host name: who the other end is, its role says.
    """
    context = ssl.SSLContext(protocol)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    if protocol == ssl.PROTOCOL_TLS_SERVER:
        # gRPC insists on h2. Clients of HTTP that offer both get HTTP/1.1, which is what the ports
        # inside have for them.
        context.set_alpn_protocols(["http/1.1", "h2"])
        # A session that is resumed would be one of former certificates.
        context.num_tickets = 0
    try:
        context.load_verify_locations(folder.authority_file)
        context.load_cert_chain(folder.certificate(role), folder.key(role))
    except (ssl.SSLError, OSError) as why:
        names = os.fspath(folder.path)
        raise Unusable(f"{names}: the certificate of {role} cannot be used: {why}") from None
    return context
