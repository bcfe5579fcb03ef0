"""A client's connection: it is one, it is kept, and it tells what became of a request."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import protocol

from load.client.connection import Connection
from load.client.session import NoAnswer, NotSent

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Cache: hit\r\n\r\n{}"


class Server(protocol.Protocol):
    """Answers whatever comes, but for what it is to break."""

    factory: Any

    def connectionMade(self) -> None:
        self.factory.connections += 1

    def dataReceived(self, data: bytes) -> None:
        self.factory.requests.append(data)
        assert self.transport is not None
        if b"/broken" in data:
            self.transport.abortConnection()
        elif b"/silent" not in data:
            self.transport.write(ANSWER)


@pytest_twisted.async_yield_fixture
async def server() -> AsyncIterator[Any]:
    """A server at `url` on this machine, with the `requests` and `connections` it was made."""
    from twisted.internet import reactor

    factory: Any = protocol.Factory.forProtocol(Server)
    factory.requests, factory.connections = [], 0
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")  # type: ignore[attr-defined]
    factory.url = f"http://127.0.0.1:{port.getHost().port}"
    yield factory
    await port.stopListening()


def new_connection() -> Connection:
    from twisted.internet import reactor

    return Connection(reactor)


@pytest_twisted.ensureDeferred
async def test_one_connection_is_kept_for_all_calls(server: Any) -> None:
    connection = new_connection()
    for _ in range(3):
        reply = await connection.get(f"{server.url}/stocks/Fish", 5.0)
        assert (reply.status, reply.body, reply.header(b"X-Cache")) == (200, b"{}", "hit")
        await connection.post(f"{server.url}/orders", {}, {}, 5.0)
    await connection.close()
    assert (len(server.requests), server.connections) == (6, 1)


@pytest_twisted.ensureDeferred
async def test_a_request_is_as_a_session_sends_it(server: Any) -> None:
    connection = new_connection()
    await connection.get(f"{server.url}/stocks/Fish%20%26%20Co", 5.0)
    await connection.post(f"{server.url}/orders", {"a": 1}, {"Idempotency-Key": "k"}, 5.0)
    await connection.close()
    looked_up, traded = server.requests
    assert looked_up.startswith(b"GET /stocks/Fish%20%26%20Co HTTP/1.1\r\n")
    head, _, body = traded.partition(b"\r\n\r\n")
    first, *headers = head.split(b"\r\n")
    assert first == b"POST /orders HTTP/1.1"
    assert {
        b"Content-Length: 7", b"Content-Type: application/json", b"Idempotency-Key: k",
        b"Host: " + server.url.removeprefix("http://").encode(),
    } <= set(headers)  # fmt: skip
    assert body == b'{"a":1}'


@pytest.mark.parametrize("path", ["silent", "broken"])
@pytest_twisted.ensureDeferred
async def test_a_request_without_an_answer_is_not_sent_again_by_itself(
    server: Any, path: str
) -> None:
    connection = new_connection()
    await connection.get(f"{server.url}/stocks/Fish", 5.0)
    with pytest.raises(NoAnswer) as failed:
        await connection.get(f"{server.url}/{path}", 0.2)
    assert not isinstance(failed.value, NotSent)
    assert len(server.requests) == 2
    # The next one has a connection all the same.
    assert (await connection.get(f"{server.url}/stocks/Fish", 5.0)).status == 200
    await connection.close()
