"""Clients with API keys, on real processes that are really killed."""

import json
import re
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.commands import run
from twisted_bazaar.client import Client, Refused
from twisted_bazaar.client.values import Order
from twisted_bazaar.local.command_lines import twistd
from twisted_bazaar.order_keys import scoped

from .bazaar import Answer, Bazaar
from .waiting import wait_until

OLD = "/api/frontend_service/trade"


def tool(*arguments: str) -> str:
    done = run(*arguments)
    assert done.returncode == 0, done
    return done.stdout.strip()


class World:
    """A bazaar with clients, and their API keys."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "clients.toml"
        self.keys: dict[str, str] = {}
        for name, permissions in {
            "alice": "read,trade", "bob": "read,trade", "eve": "read", "op": "read,operate",
        }.items():  # fmt: skip
            self.add(name, permissions)
        self.bazaar = Bazaar(folder / "bazaar", f"--clients={self.file}", "--access-log")

    def add(self, name: str, permissions: str) -> None:
        self.keys[name] = tool(
            "clients", "add", str(self.file), name, f"--permissions={permissions}"
        )

    def ask(self, name: str, method: str, path: str, body: object = None) -> Answer:
        shown = {"Authorization": f"Bearer {self.keys[name]}"}
        return self.bazaar.request(method, path, body, shown)

    def leader(self) -> int:
        """The id of the replica that leads; 0: none does."""
        rows = self.ask("op", "GET", "/replicas").body["data"]
        return next((row["id"] for row in rows if row["role"] == "leader"), 0)

    def client(self, name: str) -> Client:
        return Client(self.bazaar.url, api_key=self.keys[name])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("clients"))
    with world.bazaar:
        yield world


def trade(key: str, quantity: int = 1) -> dict[str, Any]:
    return {"name": "GameStart", "quantity": quantity, "type": "buy", "client_order_id": key}


def test_a_key_is_each_clients_own_also_in_replays_after_the_leader_was_killed(
    world: World,
) -> None:
    alice, bob = world.client("alice"), world.client("bob")
    first = {
        who: who.place("GameStart", "buy", quantity, client_order_id="same")
        for who, quantity in ((alice, 1), (bob, 2))
    }
    numbers = [placed.number for placed in first.values()]
    assert len({*numbers}) == 2
    wait_until(world.leader, "a replica leads")
    world.bazaar.kill(f"order-{world.leader()}")
    # Sent again while another replica takes over, and by the old paths.
    for who, quantity in ((alice, 1), (bob, 2)):
        again = who.place("GameStart", "buy", quantity, client_order_id="same")
        assert again.number == first[who].number
        with pytest.raises(Refused) as refused:
            who.place("GameStart", "buy", 9, client_order_id="same")
        assert refused.value.reason == "key_reused"
    world.bazaar.wait_ready()
    old = world.ask("bob", "POST", f"{OLD}/orders", trade("same", 2))
    assert old.body["data"]["transaction_number"] == first[bob].number
    assert alice.place("GameStart", "buy", 1, client_order_id="same").replayed
    found = [who.find("same") for who in (alice, bob)]
    assert [order.number for order in found if order] == numbers
    for who, own in ((alice, numbers[0]), (bob, numbers[1])):
        mine = [order.number for order in who.orders(mine=True)]
        assert own in mine
        assert not {*numbers} - {own} & {*mine}
        who.close()


def test_what_others_see_of_an_order_is_what_was_traded_and_not_by_whom(world: World) -> None:
    number = world.ask("alice", "POST", "/orders", trade("secret")).body["data"][
        "transaction_number"
    ]
    streams: dict[str, list[Order]] = {name: [] for name in ("alice", "bob", "op")}

    def read(name: str) -> None:
        with world.client(name) as client:
            for event in client.events(after=0, events=["order"]):
                if isinstance(event, Order) and event.number == number:
                    streams[name].append(event)
                    return

    readers = [threading.Thread(target=read, args=[name], daemon=True) for name in streams]
    for each in readers:
        each.start()
    for each in readers:
        each.join(20)
    for name, told in {"alice": True, "bob": False, "op": True}.items():
        expected = ("alice", "secret") if told else (None, None)
        for path in (f"/orders/{number}", f"{OLD}/orders/{number}"):
            order = world.ask(name, "GET", path).body["data"]
            assert (order["client"], order["client_order_id"]) == expected
        [order, *_] = world.ask(name, "GET", "/orders?direction=desc&limit=1").body["data"]
        assert order["number"] == number
        assert (order["client"], order["client_order_id"]) == expected
        [event] = streams[name]
        assert (event.client, event.client_order_id) == expected


def test_calls_without_an_api_key_or_the_permission_do_nothing(world: World) -> None:
    refused = world.bazaar.request("POST", "/orders", trade("nobody"))
    assert (refused.status, refused.body["error"]["reason"]) == (401, "unauthenticated")
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")
    refused = world.ask("eve", "POST", f"{OLD}/orders", trade("eve"))
    assert (refused.status, refused.body["error"]["reason"]) == (403, "not_permitted")
    for name in ("alice", "op"):
        for key in ("nobody", "eve"):
            assert world.ask(name, "GET", f"/orders?client_order_id={key}").body["data"] == []
    assert world.ask("op", "GET", "/orders?client=eve").body["data"] == []
    assert world.bazaar.request("GET", "/readyz").status == 200


def test_a_client_that_is_removed_is_refused_soon_and_its_streams_end(world: World) -> None:
    world.add("carol", "read,trade")
    wait_until(lambda: world.ask("carol", "GET", "/ping").status == 200, "it answers")
    wait_until(lambda: world.ask("carol", "GET", "/stocks").status == 200, "carol is known")
    ended = threading.Event()

    def read() -> None:
        with world.client("carol") as client, pytest.raises(Refused):
            for _ in client.events():
                pass
        ended.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    tool("clients", "remove", str(world.file), "carol")
    wait_until(lambda: world.ask("carol", "GET", "/stocks").status == 401, "carol is refused")
    wait_until(ended.is_set, "her stream has ended")
    assert world.ask("alice", "GET", "/stocks").status == 200


def test_no_api_key_is_in_any_log_and_the_access_log_names_clients(world: World) -> None:
    world.ask("bob", "GET", "/stocks/GameStart")
    wait_until(lambda: "bob at 127.0.0.1" in world.bazaar.log.read_text(), "a line of bob's")
    world.ask("eve", "POST", "/orders", trade("eve"))
    refused = 'eve at 127.0.0.1 "POST /orders" 403'
    wait_until(lambda: refused in world.bazaar.log.read_text(), "what eve may not do")
    text = world.bazaar.log.read_text()
    for key in world.keys.values():
        assert key not in text
        assert key not in world.file.read_text()
    assert "Bearer" not in text


def test_the_log_holds_the_key_with_its_client_and_the_export_a_column(world: World) -> None:
    if world.bazaar.engine is not None:
        pytest.skip("the log is in an engine")
    number = world.ask("bob", "POST", "/orders", trade("kept")).body["data"]["transaction_number"]
    folder = world.bazaar.data / "order-1"

    def lines() -> Sequence[str]:
        return [
            line
            for each in (folder / "log").glob("*.jsonl")
            for line in each.read_text().splitlines()
        ]

    wait_until(lambda: json.dumps(scoped("bob", "kept")) in "".join(lines()), "order-1 has it")
    plain = tool("export", str(folder)).splitlines()
    assert plain[0] == "transaction_number,name,type,quantity"
    whole = tool("export", str(folder), "--whole", "--clients").splitlines()
    [row] = [line for line in whole if re.match(rf"{number},", line)]
    assert row.endswith(",kept,bob")
    assert whole[0].endswith(",client_order_id,client")


@pytest.mark.parametrize("service", ["bazaar", "bazaar-frontend"])
def test_an_endpoint_that_others_reach_needs_clients_or_open(tmp_path: Path, service: str) -> None:
    needed = ["--catalog=127.0.0.1:1", "--replica=1=127.0.0.1:1"]
    options = [f"--data={tmp_path}"] if service == "bazaar" else needed
    command = twistd(service, "--listen=tcp:0", *options)
    done = subprocess.run(command, capture_output=True, check=False, cwd=tmp_path)
    assert done.returncode == 1
    [line] = done.stderr.decode().splitlines()
    assert line.startswith(f"{service}: --listen tcp:0 is reached from other machines")
