"""Both forms of the client reach a front-end by HTTPS, and tell it nothing before it is known."""

import re
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import protocol
from twisted.internet.defer import maybeDeferred
from twisted.internet.threads import deferToThread

from tests.fakes.edge_files import ServerFiles
from tests.fakes.frontend_world import FrontEnd
from twisted_bazaar.client import Client, NotExecuted
from twisted_bazaar.client.answers import Answer, Broken
from twisted_bazaar.client.deferreds import Deferreds
from twisted_bazaar.client.plain_http import Connection, trusting
from twisted_bazaar.client.requests import Request
from twisted_bazaar.client.session import Session
from twisted_bazaar.http.listener import Listener


class Closing(protocol.Protocol):
    """Closes when the first bytes come."""

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.loseConnection()


class Resetting(protocol.Protocol):
    """Resets the connection then."""

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.abortConnection()


@pytest.fixture
def files(tmp_path: Path) -> ServerFiles:
    made = ServerFiles(tmp_path)
    made.write(1, has_address=False)
    return made


@pytest.fixture
def frontend() -> FrontEnd:
    from twisted.internet import reactor

    return FrontEnd(reactor=reactor)


@pytest_twisted.async_yield_fixture
async def url(frontend: FrontEnd, files: ServerFiles) -> AsyncIterator[str]:
    """Of the front-end."""
    from twisted.internet import reactor

    endpoint = f"ssl:0:{files.endpoint}:interface=127.0.0.1"
    listener = Listener(reactor, endpoint, frontend.site)  # type: ignore[arg-type]
    listener.startService()
    yield f"https://localhost:{listener.address.port}"
    await maybeDeferred(listener.stopService)


@pytest_twisted.ensureDeferred
async def test_the_client_that_blocks_trades_by_https(url: str, files: ServerFiles) -> None:
    def trade() -> int:
        with Client(url, trusted=str(files.certificate)) as bazaar:
            bazaar.ping()
            assert bazaar.stock("GameStart").name == "GameStart"
            return bazaar.place("GameStart", "buy", 1).number

    assert await deferToThread(trade) == 1


@pytest_twisted.ensureDeferred
async def test_the_client_on_twisted_trades_by_https(url: str, files: ServerFiles) -> None:
    from twisted.internet import reactor

    bazaar = Deferreds(reactor, url, trusted=str(files.certificate))  # type: ignore[arg-type]
    await bazaar.ping()
    assert (await bazaar.stock("GameStart")).name == "GameStart"
    assert (await bazaar.place("GameStart", "buy", 1)).number == 1
    await bazaar.close()


@pytest_twisted.ensureDeferred
async def test_both_keep_their_connection(
    url: str, frontend: FrontEnd, files: ServerFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    from twisted.internet import reactor

    made: list[object] = []
    site = frontend.site
    real = site.channel_made
    monkeypatch.setattr(site, "channel_made", lambda each: (made.append(each), real(each)))
    trusted = str(files.certificate)
    twisted = Deferreds(reactor, url, trusted=trusted)  # type: ignore[arg-type]
    with Client(url, trusted=trusted) as blocking:
        for _ in range(3):
            await twisted.ping()
            await deferToThread(blocking.ping)
    await twisted.close()
    assert len(made) == 2


@pytest_twisted.ensureDeferred
async def test_a_server_that_does_not_answer_the_handshake_was_sent_nothing() -> None:
    from twisted.internet import reactor

    missed = pytest.raises(NotExecuted, match="no connection in time")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        with Client(url, deadline=0.5) as blocking, missed:
            blocking.place("GameStart", "buy", 1)
        bazaar = Deferreds(reactor, url, deadline=0.5)  # type: ignore[arg-type]
        with missed:
            await bazaar.place("GameStart", "buy", 1)


@pytest.mark.parametrize("server", [Closing, Resetting])
@pytest_twisted.ensureDeferred
async def test_a_server_that_closes_in_the_handshake_was_sent_nothing(
    server: type[protocol.Protocol],
) -> None:
    from twisted.internet import reactor

    port = reactor.listenTCP(  # type: ignore[attr-defined]
        0, protocol.Factory.forProtocol(server), interface="127.0.0.1"
    )
    url = f"https://127.0.0.1:{port.getHost().port}"
    request = Request("POST", "/orders", {}, b"{}")
    session = Session(reactor, 1)  # type: ignore[arg-type]
    for sent in (
        await session.send(url, request, 20.0),
        await deferToThread(Connection(url).send, request, 20.0),
    ):
        assert isinstance(sent, Broken)
        assert not sent.served
        assert not sent.late
        assert sent.why.startswith("no connection: ")
    await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_the_authorities_may_be_named_in_the_environment(
    url: str, files: ServerFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    from twisted.internet import reactor

    monkeypatch.setenv("SSL_CERT_FILE", str(files.certificate))
    session = Session(reactor, 1)  # type: ignore[arg-type]
    assert isinstance(await session.send(url, Request("GET", "/ping"), 5.0), Answer)
    await session.close()
    sent = await deferToThread(Connection(url).send, Request("GET", "/ping"), 5.0)
    assert isinstance(sent, Answer)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("blocks", [True, False])
@pytest.mark.parametrize("lacking", ["trust", "name"])
async def test_a_trade_for_a_front_end_that_is_not_known_is_surely_not_sent(
    url: str, files: ServerFiles, lacking: str, blocks: bool
) -> None:
    from twisted.internet import reactor

    trusted = None if lacking == "trust" else str(files.certificate)
    if lacking == "name":
        url = url.replace("localhost", "127.0.0.1")
    request = Request("POST", "/orders", {}, b"{}")
    sent: Answer | Broken
    if blocks:
        sent = await deferToThread(Connection(url, None, trusting(trusted)).send, request, 20.0)
    else:
        session = Session(reactor, 1, None, trusted)  # type: ignore[arg-type]
        sent = await session.send(url, request, 20.0)
    assert isinstance(sent, Broken)
    assert not sent.served
    assert not sent.late
    assert re.match("no connection: .*certificate", sent.why)


def test_a_file_without_certificates_is_an_error_at_once(tmp_path: Path) -> None:
    empty = tmp_path / "ca.pem"
    empty.touch()
    with pytest.raises(ssl.SSLError):
        Client("https://localhost:1", trusted=str(empty))
    with pytest.raises(OSError):
        trusting(str(tmp_path / "none.pem"))
