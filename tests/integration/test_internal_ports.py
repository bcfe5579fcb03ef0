"""A process in the bazaar's network without the secret changes nothing and stops no service."""

import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import hiredis
import pytest

from tests.fakes.certificates import FRONTEND
from twisted_bazaar.rpc.bazaar.v1 import catalog_pb2, order_pb2, replication_pb2
from twisted_bazaar.rpc.bazaar.v1.catalog_pb2_grpc import CatalogStub
from twisted_bazaar.rpc.bazaar.v1.order_pb2_grpc import OrdersStub
from twisted_bazaar.rpc.bazaar.v1.replication_pb2_grpc import ReplicationStub
from twisted_bazaar.rpc.push import Subscription, prove
from twisted_bazaar.security.roles import Role

from .bazaar import Bazaar
from .inside import channel_to
from .waiting import wait_until

PATIENCE = 10.0
TERMS = [2**63 - 1, 2**53, 2**53 - 1, 2**40, -1, -(2**63)]


@pytest.fixture(scope="module")
def bazaar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bazaar]:
    with Bazaar(tmp_path_factory.mktemp("doors"), "--cache=auto") as bazaar:
        yield bazaar


def refused(call: Callable[..., Any], request: Any, *codes: grpc.StatusCode) -> str:
    """What the service says to `request`, which it must refuse."""
    with pytest.raises(grpc.RpcError) as failure:
        call(request, timeout=PATIENCE)
    error: Any = failure.value
    assert error.code() in (codes or (grpc.StatusCode.INVALID_ARGUMENT,)), error
    assert "Traceback" not in error.details()
    return str(error.details())


def trades_and_shows(bazaar: Bazaar) -> None:
    before = bazaar.request("GET", "/stocks/GameStart").body["data"]["quantity"]
    trade = {"name": "GameStart", "quantity": 1, "type": "buy"}
    assert bazaar.request("POST", "/orders", trade).status == 200
    after = bazaar.request("GET", "/stocks/GameStart").body["data"]
    assert (after["quantity"], after["price"]) == (before - 1, 15.99)


def lives(bazaar: Bazaar) -> dict[str, int]:
    return {name: row["pid"] for name, row in bazaar.processes().items()}


def terms(bazaar: Bazaar) -> set[int]:
    return {row["term"] for row in bazaar.request("GET", "/replicas").body["data"]}


def test_no_number_in_a_call_ends_a_replica_or_a_leadership(bazaar: Bazaar) -> None:
    before = lives(bazaar), terms(bazaar)
    for name in ("order-1", "order-2", "order-3"):
        peer = Role.order(3 if name == "order-2" else 2)
        with (
            channel_to(bazaar, name, FRONTEND) as of_frontend,
            channel_to(bazaar, name, peer) as of_peer,
        ):
            orders, peers = OrdersStub(of_frontend), ReplicationStub(of_peer)
            for term in TERMS:
                refused(orders.Follow, order_pb2.FollowRequest(term=term))
                for call, request in (
                    (peers.Append, replication_pb2.AppendRequest(term=term, leader=2)),
                    (peers.Vote, replication_pb2.VoteRequest(term=term, candidate=2)),
                ):
                    refused(
                        call,
                        request,
                        grpc.StatusCode.INVALID_ARGUMENT,
                        grpc.StatusCode.NOT_FOUND,  # whose leader is not meant here
                    )
            for number in (-1, 2**53, 2**63 - 1, -(2**63)):
                refused(peers.Poll, replication_pb2.PollRequest(replica=1, nonce=number))
                refused(peers.Fetch, replication_pb2.FetchRequest(replica=1, after=number))
                refused(orders.GetOrder, order_pb2.GetOrderRequest(number=number))
                refused(orders.ListOrders, order_pb2.ListOrdersRequest(after=number, limit=1))
                fields: Any = {"key": "k", "stock": "GameStart", "side": 1, "quantity": number}
                trade = order_pb2.Trade(**fields)
                refused(orders.Trade, order_pb2.TradeRequest(trades=[trade]))
            for sent in (float("nan"), float("inf"), -1.0):
                refused(peers.Append, replication_pb2.AppendRequest(term=1, leader=2, sent=sent))
    trades_and_shows(bazaar)
    assert (lives(bazaar), terms(bazaar)) == before


def test_no_number_in_a_call_ends_a_catalog(bazaar: Bazaar) -> None:
    before = lives(bazaar)
    with channel_to(bazaar, "catalog", Role.order(1)) as channel:
        catalog = CatalogStub(channel)
        for term in TERMS:
            refused(catalog.Apply, catalog_pb2.ApplyRequest(term=term))
        wrong: list[dict[str, Any]] = [
            {"sent": float("nan")},
            {"lease": float("inf")},
            {"previous_index": -1},
            {"commit": 2**63 - 1},
            {"previous_digest": "x"},
            {"records": [b"{}"]},
            {"stamp": catalog_pb2.Stamp(life=-1)},
        ]
        for fields in wrong:
            request = catalog_pb2.ApplyRequest(term=1, **fields)
            refused(catalog.Apply, request)
    trades_and_shows(bazaar)
    assert lives(bazaar) == before


def test_a_subscription_without_the_secret_is_refused(bazaar: Bazaar) -> None:
    secret = (bazaar.data / "secret").read_bytes().strip()
    with (
        socket.create_server(("127.0.0.1", 0)) as victim,
        channel_to(bazaar, "catalog", FRONTEND) as channel,
    ):
        subscribe = CatalogStub(channel).Subscribe
        host, port = victim.getsockname()

        def request(address: str, key: bytes) -> Any:
            asked = Subscription(address=address, life=7, token="token")
            proof = prove(key, asked)
            return catalog_pb2.SubscribeRequest(address=address, life=7, token="token", proof=proof)

        denied = grpc.StatusCode.PERMISSION_DENIED
        unsigned = catalog_pb2.SubscribeRequest(address=f"{host}:{port}", life=7, token="token")
        assert "not signed" in refused(subscribe, unsigned, denied)
        for key in (b"", b"another secret!!"):
            refused(subscribe, request(f"{host}:{port}", key), denied)
        refused(subscribe, request("169.254.169.254:80", secret))
        victim.settimeout(0.7)
        with pytest.raises(TimeoutError):
            victim.accept()
    trades_and_shows(bazaar)


def test_a_forged_value_in_redis_is_not_shown(bazaar: Bazaar) -> None:
    address = bazaar.processes().get("redis", {}).get("address")
    if address is None:
        pytest.skip("there is no Redis on this machine")
    host, _, port = address.rpartition(":")

    def ask(*command: str | bytes) -> Any:
        with socket.create_connection((host, int(port)), timeout=PATIENCE) as connection:
            connection.sendall(hiredis.pack_command(command))
            reader = hiredis.Reader()
            while (reply := reader.gets()) is False:
                reader.feed(connection.recv(65536))
        return reply

    def source(name: str) -> str:
        return str(bazaar.request("GET", f"/stocks/{name}").headers["X-Cache"])

    def is_kept(name: str) -> bool:
        return source(name) == "hit"

    for name in ("GameStart", "BoarCo"):
        wait_until(partial(is_kept, name), "it is kept", PATIENCE, bazaar.tail)
    [game] = ask("KEYS", "bazaar:*:GameStart")
    [boar] = ask("KEYS", "bazaar:*:BoarCo")
    forged = b'{"data":{"name":"GameStart","price":0.01,"quantity":1,"volume":0}}'
    for value in (
        b"999999999999999 " + forged,
        b"999999999999999 " + bytes(16) + forged,
        ask("GET", boar),
        ask("GET", game).replace(b"15.99", b"00.01"),
    ):
        ask("SET", game, value)
        answer = bazaar.request("GET", "/stocks/GameStart")
        assert answer.body["data"]["name"] == "GameStart"
        assert (answer.body["data"]["price"], answer.headers["X-Cache"]) == (15.99, "miss")
        wait_until(lambda: is_kept("GameStart"), "the true one is kept", PATIENCE, bazaar.tail)
    trades_and_shows(bazaar)


def test_the_internal_endpoint_keeps_little_of_unsigned_bodies(bazaar: Bazaar) -> None:
    command = Path(f"/proc/{bazaar.process_id('frontend')}/cmdline").read_bytes().decode()
    [advertised] = [
        word.partition("=")[2] for word in command.split("\0") if word.startswith("--advertise=")
    ]
    host, _, port = advertised.rpartition(":")
    head = b"POST /invalidations HTTP/1.1\r\nHost: x\r\nX-Bazaar-Signature: %b\r\n" % (b"0" * 64)
    before = memory(bazaar)
    connections = []
    for _ in range(150):
        connection = socket.create_connection((host, int(port)), timeout=PATIENCE)
        connections.append(connection)
        with suppress(OSError):  # It may have been refused by now.
            connection.sendall(head + b"Content-Length: 6000000\r\n\r\n" + bytes(500_000))
    assert memory(bazaar) < before + 30_000_000
    for connection in connections:
        connection.close()
    wait_until(
        lambda: bazaar.request("GET", "/stocks/GameStart").headers["X-Cache"] == "hit",
        "the catalog's pushes come in",
        PATIENCE,
        bazaar.tail,
    )
    trades_and_shows(bazaar)


def memory(bazaar: Bazaar) -> int:
    """Bytes that the front-end has."""
    status = Path(f"/proc/{bazaar.process_id('frontend')}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


def test_no_such_request_is_logged_as_an_unexpected_error(bazaar: Bazaar) -> None:
    log = bazaar.log.read_text(errors="replace")
    assert "Traceback" not in log
    assert "was refused: term must be from 0 to" in log
    assert log.count("was refused") < 40, "an attack does not fill the log"
