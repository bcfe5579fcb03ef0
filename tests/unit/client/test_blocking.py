"""The client whose calls block: its connections, its time limits, and what it imports."""

import socket
import subprocess
import sys
import time
from random import Random

import msgspec
import pytest

from twisted_bazaar.client import Client, NotExecuted, Order, OutcomeUnknown, Unavailable
from twisted_bazaar.client.plain_http import Connection
from twisted_bazaar.client.requests import Request

from .small_server import answer, small_server

PONG = answer(b'{"data":"pong"}')
PLACED = answer(
    b'{"data":{"transaction_number":1,"client_order_id":"k","price":2.50,"total":5.00}}'
)


def pong(connection: socket.socket, _: bytes) -> None:
    connection.sendall(PONG)


class NoPause(Random):
    """For a client all of whose first attempts are to succeed."""

    def uniform(self, a: float, b: float) -> float:
        raise AssertionError("an attempt has failed")


def order(number: int) -> bytes:
    shown = {"number": number, "name": "Fish", "type": "buy", "quantity": 1,
             "time": "2026-01-01T00:00:00Z"}  # fmt: skip
    return b"event: order\nid: %d\ndata: %s\n\n" % (number, msgspec.json.encode(shown))


def test_it_imports_no_reactor_and_no_twisted() -> None:
    script = (
        "import sys, twisted_bazaar.client; "
        "print([name for name in sys.modules if name.split('.')[0] in ('twisted', 'treq', 'grpc')])"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert said.stdout == b"[]\n"


def test_calls_keep_one_connection_and_close_it() -> None:
    with small_server(pong) as server:
        with Client(server.url) as client:
            for _ in range(3):
                client.ping()
        assert (len(server.requests), server.connections) == (3, 1)
        client.ping()
        assert server.connections == 2
        client.close()


def test_the_api_key_is_shown_with_each_request_also_of_a_stream() -> None:
    with small_server(pong) as server:
        with Client(server.url, api_key="bz_mine") as client:
            client.ping()
        stream = Connection(server.url, "bz_mine")
        stream.open(Request("GET", "/events"), 5.0)
        stream.close()
        with Client(server.url) as client:
            client.ping()
    shown = [b"Authorization: Bearer bz_mine\r\n" in each for each in server.requests]
    assert shown == [True, True, False]


def test_an_api_key_that_could_be_none_is_not_sent() -> None:
    with pytest.raises(ValueError, match="API key") as refused:
        Client("http://127.0.0.1:1", api_key="bz_a\r\nHost: x").ping()
    assert "bz_a" not in str(refused.value)


def test_a_connection_that_the_server_has_closed_costs_no_attempt() -> None:
    def serve(connection: socket.socket, _: bytes) -> None:
        connection.sendall(PONG)
        connection.shutdown(socket.SHUT_RDWR)

    with small_server(serve) as server, Client(server.url, random=NoPause()) as client:
        client.ping()
        server.wait_closed()
        client.ping()
        assert server.connections == 2


@pytest.mark.parametrize("piece", [b"", b"HTTP/1.1 200 OK\r\n", answer(b"x" * 100)[:-1]])
def test_a_server_that_sends_a_byte_now_and_then_does_not_prolong_a_call(piece: bytes) -> None:
    def serve(connection: socket.socket, _: bytes) -> None:
        connection.sendall(piece)
        while True:
            time.sleep(0.02)
            connection.sendall(b"X" if piece.endswith(b"\n") or not piece else b"")

    with small_server(serve) as server, Client(server.url) as client:
        began = time.monotonic()
        with pytest.raises(OutcomeUnknown):
            client.place("Fish", "buy", 2, deadline=0.3)
        assert 0.25 < time.monotonic() - began < 1.0


def test_a_trade_that_was_not_sent_is_not_executed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(NotExecuted, match="no connection"):
        Client(url).place("Fish", "buy", 2, deadline=0.3)


def test_a_trade_whose_answer_is_lost_is_sent_again_with_its_key() -> None:
    def serve(connection: socket.socket, _: bytes) -> None:
        if len(server.requests) == 1:
            connection.close()
        else:
            connection.sendall(PLACED)

    with small_server(serve) as server, Client(server.url, random=Random(1)) as client:
        placed = client.place("Fish", "buy", 2)
        bodies = [msgspec.json.decode(each.partition(b"\r\n\r\n")[2]) for each in server.requests]
    assert len(bodies) == 2
    assert bodies[0] == bodies[1]
    assert placed.client_order_id == bodies[0]["client_order_id"]


def test_a_stream_is_read_while_other_calls_are_made_and_taken_up_again() -> None:
    def serve(connection: socket.socket, request: bytes) -> None:
        if request.startswith(b"GET /ping"):
            connection.sendall(PONG)
            return
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        number = 3 if b"Last-Event-ID: 2" in request else 1
        events = b"retry: 10\n\n" + order(number) + order(number + 1)
        connection.sendall(head + b"%x\r\n%s\r\n" % (len(events), events))
        if number == 1:
            connection.close()

    with small_server(serve) as server, Client(server.url) as client:
        numbers = []
        events = client.events(after=0)
        for event in events:
            client.ping()
            assert isinstance(event, Order)
            numbers.append(event.number)
            if event.number == 4:
                break
        events.close()  # type: ignore[attr-defined]
    assert numbers == [1, 2, 3, 4]


def test_a_stream_that_falls_silent_is_taken_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def serve(connection: socket.socket, request: bytes) -> None:
        events = b"retry: 10\n\n" + order(1 if b"after=0" in request else 2)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + events)

    monkeypatch.setattr("twisted_bazaar.client.stream.SILENCE_SECONDS", 0.1)
    with small_server(serve) as server, Client(server.url) as client:
        events = client.events(after=0)
        assert [next(events).number for _ in range(2)] == [1, 2]  # type: ignore[union-attr]
        events.close()  # type: ignore[attr-defined]
        assert b"Last-Event-ID: 1" in server.requests[1]


def test_no_stream_within_the_deadline_is_a_failure() -> None:
    def serve(connection: socket.socket, _: bytes) -> None:
        connection.close()

    with small_server(serve) as server, pytest.raises(Unavailable):
        next(Client(server.url, deadline=0.3).events(after=0))
