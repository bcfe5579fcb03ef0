# ruff: noqa: N802, N815 - what Twisted calls has a style of its own
"""Mutual TLS between two protocols, in memory."""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

from tests.fakes.certificates import CATALOG, FRONTEND, issuing, make_folder, make_named
from twisted_bazaar.errors import InvariantBroken
from twisted_bazaar.runtime.writing import write_now, writes_now
from twisted_bazaar.security.contexts import context_of
from twisted_bazaar.security.folder import CertificateFolder
from twisted_bazaar.security.roles import Role
from twisted_bazaar.security.transport import NotAdmitted, NothingSent, TlsTransport, role_of

ORDER_1, ORDER_2 = Role.order(1), Role.order(2)


class Wire:
    """The transport of one end, in memory."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.closing = self.aborted = False

    def write(self, data: bytes) -> None:
        if not self.closing:
            self.sent.append(data)

    def loseConnection(self) -> None:
        self.closing = True

    loseWriteConnection = loseConnection

    def abortConnection(self) -> None:
        self.aborted = True

    def setTcpNoDelay(self, enabled: bool) -> None:
        pass

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", "192.0.2.7", 5000)


class Inner(Protocol):
    def __init__(self, *said_first: bytes) -> None:
        self.said_first = said_first
        self.heard = b""
        self.lost: Failure | None = None

    def connectionMade(self) -> None:
        for data in self.said_first:
            write_now(self.transport, data)

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008
        self.lost = reason


class End:
    """One end: a protocol over TLS over a wire."""

    def __init__(self, inner: Inner, begin: Callable[..., ssl.SSLObject], mistake: Any) -> None:
        self.inner, self.wire = inner, Wire()
        self.refused: list[tuple[str, str]] = []
        self.tls = TlsTransport(inner, begin, mistake, lambda *each: self.refused.append(each))
        self.wire_bytes = b""

    def connect(self) -> None:
        self.tls.makeConnection(self.wire)  # type: ignore[arg-type]


def pump(*ends: End) -> None:
    """Carry bytes between the ends until none are left, and close what is closed."""
    one, other = ends
    moved = True
    while moved:
        moved = False
        for here, there in ((one, other), (other, one)):
            sent, here.wire.sent = here.wire.sent, []
            here.wire_bytes += b"".join(sent)
            for data in sent:
                moved = True
                if not there.wire.closing:
                    there.tls.dataReceived(data)
    for end in ends:
        if end.inner.lost is None and any(each.wire.closing or each.wire.aborted for each in ends):
            why = ConnectionAborted() if end.wire.aborted else ConnectionDone()
            end.tls.connectionLost(Failure(why))


def server_end(context: ssl.SSLContext) -> End:
    return End(
        Inner(),
        lambda came, goes: context.wrap_bio(came, goes, server_side=True),
        lambda role: None if role else "its certificate names no role",
    )


def client_end(context: ssl.SSLContext, meant: Role = ORDER_2) -> End:
    return End(
        Inner(b"greet", b"ing"),
        context.wrap_bio,
        lambda role: None if role == meant else f"it is {role}, not {meant}",
    )


def contexts(folder: CertificateFolder, role: Role) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    return (
        context_of(folder, role, ssl.PROTOCOL_TLS_SERVER),
        context_of(folder, role, ssl.PROTOCOL_TLS_CLIENT),
    )


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> CertificateFolder:
    return make_folder(tmp_path_factory.mktemp("ours"))


def meet(server: End, client: End) -> None:
    server.connect()
    client.connect()
    pump(server, client)


def test_each_end_knows_the_role_of_the_other_and_hears_what_it_says(
    ours: CertificateFolder,
) -> None:
    server, client = server_end(contexts(ours, ORDER_2)[0]), client_end(contexts(ours, FRONTEND)[1])
    meet(server, client)
    assert (role_of(server.tls), role_of(client.tls)) == (FRONTEND, ORDER_2)
    assert server.inner.heard == b"greeting"
    assert b"greeting" not in client.wire_bytes
    long = bytes(range(256)) * 4096
    server.tls.write(long)
    write_now(client.tls, long[::-1])
    client.tls.writeSequence([b"and", b"more"])
    pump(server, client)
    assert client.inner.heard == long
    assert server.inner.heard == b"greeting" + long[::-1] + b"andmore"
    assert writes_now(client.tls)


def test_bytes_may_come_one_at_a_time(ours: CertificateFolder) -> None:
    server, client = server_end(contexts(ours, ORDER_2)[0]), client_end(contexts(ours, FRONTEND)[1])
    meet(server, client)
    client.tls.write(b"one by one")
    for byte in b"".join(client.wire.sent):
        server.tls.dataReceived(bytes([byte]))
    assert server.inner.heard == b"greetingone by one"


def early(folder: Path, ours: CertificateFolder) -> CertificateFolder:
    """With one of our certificates, which is valid from the day after tomorrow."""
    ours.issue([FRONTEND], issuing(days=2, ago=-2), folder)
    return CertificateFolder(folder)


def expired(folder: Path, ours: CertificateFolder) -> CertificateFolder:
    """With one of our certificates, which was valid until yesterday."""
    ours.issue([FRONTEND], issuing(days=2, ago=3), folder)
    return CertificateFolder(folder)


def test_who_shows_no_certificate_of_this_bazaar_is_not_heard(
    ours: CertificateFolder, tmp_path: Path
) -> None:
    none = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    none.check_hostname = False
    none.load_verify_locations(ours.authority_file)
    foreign = contexts(make_folder(tmp_path / "theirs"), FRONTEND)[1]
    foreign.load_verify_locations(ours.authority_file)
    old = contexts(ours, FRONTEND)[1]
    old.minimum_version = ssl.TLSVersion.TLSv1_2
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    callers = {
        "it shows no certificate": none,
        "its certificate is not trusted": foreign,
        "its certificate has expired": contexts(expired(tmp_path / "old", ours), FRONTEND)[1],
        "its certificate is not valid yet": contexts(early(tmp_path / "new", ours), FRONTEND)[1],
        "it does not speak TLS 1.3": old,
    }
    for why, context in callers.items():
        server, client = server_end(contexts(ours, ORDER_2)[0]), client_end(context)
        meet(server, client)
        assert server.inner.heard == b""
        assert client.inner.heard == b""
        (refused,) = server.refused
        assert refused[0] == "192.0.2.7"
        assert refused[1].startswith(why)
        assert server.inner.lost is not None
        assert server.inner.lost.check(NotAdmitted)


ODD_NAMES = {
    "two roles": (["bazaar://{0}/frontend", "bazaar://{0}/order-3"], []),
    "the same role twice": (["bazaar://{0}/order-3", "bazaar://{0}/order-3"], []),
    "a wildcard": (
        [
            "bazaar://{0}/order-*",
        ],
        ["*.bazaar"],
    ),
    "any role": (["bazaar://{0}/*"], []),
    "a number with a zero": (["bazaar://{0}/order-03"], []),
    "no number": (["bazaar://{0}/order"], []),
    "capitals": (["BAZAAR://{0}/Order-3"], []),
    "more behind": (
        [
            "bazaar://{0}/order-3/",
        ],
        [],
    ),
    "a host name only": ([], ["order-3.bazaar"]),
}


@pytest.mark.parametrize("odd", ODD_NAMES)
def test_a_certificate_that_does_not_name_exactly_one_role_names_none(
    ours: CertificateFolder, tmp_path: Path, odd: str
) -> None:
    uris, hosts = ODD_NAMES[odd]
    bazaar = ours.authority().bazaar
    role = Role.order(3)
    theirs = make_named(tmp_path / "odd", ours, role, [uri.format(bazaar) for uri in uris], hosts)
    server = server_end(contexts(ours, ORDER_2)[0])
    client = client_end(contexts(theirs, role)[1])
    meet(server, client)
    assert server.inner.heard == b""
    assert server.refused == [("192.0.2.7", "its certificate names no role")]
    server, client = server_end(contexts(theirs, role)[0]), client_end(contexts(ours, FRONTEND)[1])
    meet(server, client)
    assert server.inner.heard == b""
    assert client.refused == [("192.0.2.7", "it is None, not order-2")]


def test_before_the_handshake_is_over_nobody_is_taken_for_one_in_plain_text(
    ours: CertificateFolder,
) -> None:
    server = server_end(contexts(ours, ORDER_2)[0])
    server.connect()
    with pytest.raises(InvariantBroken):
        role_of(server.tls)


def test_whose_handshake_fails_is_told_that_nothing_was_sent(
    ours: CertificateFolder, tmp_path: Path
) -> None:
    theirs = contexts(make_folder(tmp_path), ORDER_2)[0]
    server, client = server_end(theirs), client_end(contexts(ours, FRONTEND)[1])
    meet(server, client)
    assert client.inner.lost is not None
    assert client.inner.lost.check(NothingSent)
    # What is changed on the way later may follow what was heard.
    server, client = server_end(contexts(ours, ORDER_2)[0]), client_end(contexts(ours, FRONTEND)[1])
    meet(server, client)
    client.tls.dataReceived(b"\x17\x03\x03\x00\x20" + bytes(32))
    pump(server, client)
    assert client.inner.lost is not None
    assert client.inner.lost.check(NotAdmitted)
    assert not client.inner.lost.check(NothingSent)


@pytest.mark.parametrize("text", [b"BAZAAR\r\n", b"PRI * HTTP/2.0\r\n", b"GET / HTTP/1.1\r\n\r\n"])
def test_plain_text_is_neither_heard_nor_answered(ours: CertificateFolder, text: bytes) -> None:
    server = server_end(contexts(ours, ORDER_2)[0])
    server.connect()
    server.tls.dataReceived(text)
    assert server.inner.heard == b""
    assert server.wire.closing
    assert server.refused == [("192.0.2.7", "it does not speak TLS 1.3")]
    # An alert, at most.
    assert len(b"".join(server.wire.sent)) < 10


@pytest.mark.parametrize("role", [ORDER_1, CATALOG])
def test_a_server_with_another_role_is_told_nothing(ours: CertificateFolder, role: Role) -> None:
    server, client = server_end(contexts(ours, role)[0]), client_end(contexts(ours, FRONTEND)[1])
    meet(server, client)
    assert server.inner.heard == b""
    assert client.refused == [("192.0.2.7", f"it is {role}, not order-2")]
    assert client.inner.lost is not None
    assert client.inner.lost.check(NotAdmitted)


def test_a_server_of_another_bazaar_is_told_nothing(
    ours: CertificateFolder, tmp_path: Path
) -> None:
    theirs = contexts(make_folder(tmp_path), ORDER_2)[0]
    server, client = server_end(theirs), client_end(contexts(ours, FRONTEND)[1])
    meet(server, client)
    assert server.inner.heard == b""
    assert client.refused[0][1].startswith("its certificate is not trusted")


def test_a_close_comes_after_all_that_was_written_and_nothing_after_it(
    ours: CertificateFolder,
) -> None:
    server, client = server_end(contexts(ours, ORDER_2)[0]), client_end(contexts(ours, FRONTEND)[1])
    meet(server, client)
    client.tls.write(b" last")
    client.tls.loseConnection()
    client.tls.write(b"too late")
    assert client.tls.disconnecting
    pump(server, client)
    assert server.inner.heard == b"greeting last"
    assert server.wire.closing
    assert server.inner.lost is not None
    assert server.inner.lost.check(ConnectionDone)


def test_without_a_handshake_a_close_is_at_once(ours: CertificateFolder) -> None:
    client = client_end(contexts(ours, FRONTEND)[1])
    client.connect()
    client.tls.loseConnection()
    assert client.wire.aborted


def test_without_a_handshake_what_is_written_last_waits_for_it(ours: CertificateFolder) -> None:
    server, client = server_end(contexts(ours, ORDER_2)[0]), client_end(contexts(ours, FRONTEND)[1])
    server.connect()
    server.tls.write(b"refused")
    server.tls.loseWriteConnection()
    server.tls.write(b"too late")
    assert server.tls.disconnecting
    assert not server.wire.closing
    client.connect()
    pump(server, client)
    assert client.inner.heard == b"refused"
    assert server.wire.closing


def test_bytes_that_were_changed_on_the_way_end_the_connection(ours: CertificateFolder) -> None:
    server, client = server_end(contexts(ours, ORDER_2)[0]), client_end(contexts(ours, FRONTEND)[1])
    meet(server, client)
    client.tls.write(b"buy 1")
    data = bytearray(b"".join(client.wire.sent))
    data[-1] ^= 1
    server.tls.dataReceived(bytes(data))
    server.tls.dataReceived(b"anything")
    assert server.inner.heard == b"greeting"
    assert server.wire.closing
