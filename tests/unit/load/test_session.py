"""HTTP calls: what is known of a request when its answer does not come as it should."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import defer, protocol
from twisted.internet.task import deferLater

from load.client.session import NoAnswer, NotSent, Reply, Session

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nETag: "7"\r\n\r\n{}'


class Server(protocol.Protocol):
    """Answers a request by its path."""

    requests: list[bytes]

    def dataReceived(self, data: bytes) -> None:
        self.requests.append(data)
        assert self.transport is not None
        if b"/well" in data:
            self.transport.write(ANSWER)
        elif b"/half" in data:
            self.transport.write(ANSWER[:-1])
        elif b"/broken" in data:
            self.transport.abortConnection()
        elif b"/cut" in data:
            self.transport.write(ANSWER[:-1])
            self.transport.loseConnection()


@pytest_twisted.async_yield_fixture
async def server() -> AsyncIterator[Any]:
    """A server at `url` on this machine; `requests` are those that reached it."""
    from twisted.internet import reactor

    factory: Any = protocol.Factory.forProtocol(Server)
    factory.requests = Server.requests = []
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")  # type: ignore[attr-defined]
    factory.url = f"http://127.0.0.1:{port.getHost().port}"
    yield factory
    await port.stopListening()


async def got(call: "defer.Deferred[Reply]") -> Reply | NoAnswer:
    try:
        return await call
    except NoAnswer as why:
        return why


def new_session() -> Session:
    from twisted.internet import reactor

    return Session(reactor, 2)


@pytest_twisted.ensureDeferred
async def test_an_answer_is_complete(server: Any) -> None:
    session = new_session()
    reply = await session.get(f"{server.url}/well", 5.0)
    assert (reply.status, reply.body, reply.header(b"ETag")) == (200, b"{}", '"7"')
    await session.post(f"{server.url}/well", {"a": 1}, {"Idempotency-Key": "k"}, 5.0)
    assert b"Idempotency-Key: k" in server.requests[1]
    assert b"Content-Type: application/json" in server.requests[1]
    assert server.requests[1].endswith(b'{"a":1}')
    await session.close()


@pytest.mark.parametrize("path", ["silent", "half", "broken", "cut"])
@pytest_twisted.ensureDeferred
async def test_without_a_whole_answer_the_request_may_have_been_served(
    server: Any, path: str
) -> None:
    session = new_session()
    reply = await got(session.get(f"{server.url}/{path}", 0.2))
    assert isinstance(reply, NoAnswer)
    assert not isinstance(reply, NotSent)
    # It is for the caller to send it again.
    assert len(server.requests) == 1
    await session.close()


@pytest_twisted.ensureDeferred
async def test_a_refused_connection_is_known_at_once_and_nothing_was_served(server: Any) -> None:
    from twisted.internet import reactor

    port = reactor.listenTCP(  # type: ignore[attr-defined]
        0, protocol.Factory(), interface="127.0.0.1"
    )
    url = f"http://127.0.0.1:{port.getHost().port}"
    await port.stopListening()
    call = new_session().get(url, 5.0)
    await deferLater(reactor, 0.2)  # type: ignore[arg-type]
    assert call.called
    assert isinstance(await got(call), NotSent)


@pytest_twisted.ensureDeferred
async def test_a_call_that_is_cancelled_had_no_answer(server: Any) -> None:
    from twisted.internet import reactor

    call = new_session().get(f"{server.url}/silent", 5.0)
    await deferLater(reactor, 0.05)  # type: ignore[arg-type]
    call.cancel()
    assert isinstance(await got(call), NoAnswer)
