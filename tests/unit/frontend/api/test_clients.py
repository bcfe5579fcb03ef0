"""What the API asks of clients, and shows to them, where there is a file of clients."""

import json
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import validate

from tests.fakes.frontend_world import TRADE_BODY, FrontEnd
from twisted_bazaar.access import ANONYMOUS, Client, Permission
from twisted_bazaar.frontend.access.client_file import ClientEntry, hash_of
from twisted_bazaar.frontend.access.gate import Gate
from twisted_bazaar.frontend.api import listing
from twisted_bazaar.frontend.api.routes import Routes
from twisted_bazaar.frontend.partitions.listing import decode_list
from twisted_bazaar.http.refusals import Reason, Refusal
from twisted_bazaar.order_keys import scoped
from twisted_bazaar.selection import Selection

OLD = "/api/frontend_service"
PERMISSIONS = {
    "alice": (Permission.READ, Permission.TRADE),
    "bob": (Permission.READ, Permission.TRADE),
    "reader": (Permission.READ,),
    "trader": (Permission.TRADE,),
    "op": (Permission.READ, Permission.OPERATE),
}
CLIENTS = {name: Client(name, frozenset(each)) for name, each in PERMISSIONS.items()}


def key_of(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer bz_{name}"}


@pytest.fixture
def frontend() -> FrontEnd:
    entries = [
        ClientEntry(client, (hash_of(f"bz_{name}".encode()),)) for name, client in CLIENTS.items()
    ]
    return FrontEnd(gate=Gate(entries))


def place(frontend: FrontEnd, name: str, key: str = "k", **fields: Any) -> Any:
    body = {**json.loads(TRADE_BODY), "client_order_id": key, **fields}
    return frontend.ask("POST", "/orders", json=body, headers=key_of(name))


def calls() -> list[tuple[str, str, Permission | None]]:
    return [
        (each.method, each.path, each.operation.permission) for each in Routes.served.described(1)
    ]


def filled(path: str) -> str:
    return path.format(name="GameStart", number=1, file="main.js")


@pytest.mark.parametrize(("method", "path", "permission"), [each for each in calls() if each[2]])
def test_every_call_that_needs_a_permission_is_refused_without_it(
    frontend: FrontEnd, method: str, path: str, permission: Permission
) -> None:
    sent: dict[str, Any] = {"data": TRADE_BODY} if method == "POST" else {}
    reached = frontend.ask(method, filled(path), **sent)
    assert (reached.code, reached.json["error"]["reason"]) == (401, "unauthenticated")
    assert (reached.header("WWW-Authenticate") or "").startswith("Bearer")
    lacking = next(name for name, has in PERMISSIONS.items() if permission not in has)
    refused = frontend.ask(method, filled(path), **sent, headers=key_of(lacking))
    assert (refused.code, refused.json["error"]["reason"]) == (403, "not_permitted")
    assert frontend.bazaar.asked == []
    having = next(name for name, has in PERMISSIONS.items() if permission in has)
    assert frontend.ask(method, filled(path), **sent, headers=key_of(having)).code not in (401, 403)


def test_only_what_shows_nothing_of_the_market_is_open(frontend: FrontEnd) -> None:
    assert frontend.get("/livez", authorization="Bearer bz_wrong").code == 200
    is_open = {path for _, path, permission in calls() if permission is None}
    probes = {"/ping", f"{OLD}/ping", "/livez", "/readyz"}
    assert is_open == {*probes, "/", "/page/{file}", "/docs", "/openapi.json"}
    assert {path for _, path, needed in calls() if needed is Permission.TRADE} == {
        *("/orders", "/orders/batch", f"{OLD}/trade/orders", f"{OLD}/trade/orders/batch")
    } & {path for method, path, _ in calls() if method == "POST"}


def test_on_one_connection_each_request_is_of_the_client_whose_api_key_it_shows_now() -> None:
    def entry(name: str, key: str, *permissions: Permission) -> ClientEntry:
        return ClientEntry(Client(name, frozenset(permissions)), (hash_of(key.encode()),))

    gate = Gate([entry("alice", "bz_a", Permission.READ), entry("bob", "bz_b", Permission.TRADE)])
    connection = FrontEnd(gate=gate).connect()

    def status(key: str) -> int:
        lines = f"GET /stocks HTTP/1.1\r\nHost: bazaar\r\nAuthorization: Bearer {key}\r\n\r\n"
        return int(connection.send(lines.encode()).split()[1])

    assert [status("bz_a"), status("bz_a"), status("bz_b"), status("bz_c")] == [200, 200, 403, 401]
    assert status("bz_a") == status("bz_a") == 200
    gate.replace([entry("alice", "bz_a", Permission.TRADE), entry("bob", "bz_b", Permission.READ)])
    assert [status("bz_a"), status("bz_a"), status("bz_b")] == [403, 403, 200]
    gate.replace([])
    assert [status("bz_b"), status("bz_b")] == [401, 401]


def test_two_clients_may_use_the_same_key_and_each_has_its_own_order(frontend: FrontEnd) -> None:
    first, second = place(frontend, "alice"), place(frontend, "bob", quantity=7)
    assert [each.json["data"]["transaction_number"] for each in (first, second)] == [1, 2]
    assert [each.json["data"]["client_order_id"] for each in (first, second)] == ["k", "k"]
    again = place(frontend, "alice")
    assert (again.json, again.header("Idempotent-Replayed")) == (first.json, "true")
    assert place(frontend, "alice", quantity=7).reason == "key_reused"
    assert [*frontend.bazaar.by_key] == [scoped("alice", "k"), scoped("bob", "k")]


def test_trades_of_a_batch_have_the_keys_of_their_client(frontend: FrontEnd) -> None:
    trade = {**json.loads(TRADE_BODY), "client_order_id": "k"}
    batch = {"orders": [trade, {**trade, "client_order_id": 7}]}
    for path in ("/orders/batch", f"{OLD}/trade/orders/batch"):
        answer = frontend.ask("POST", path, json=batch, headers=key_of("alice"))
        [done, malformed] = answer.json["data"]
        assert done["data"]["client_order_id"] == "k"
        assert malformed["error"]["reason"] == "invalid_key"
    assert [*frontend.bazaar.by_key] == [scoped("alice", "k")]


def test_a_key_that_the_front_end_makes_belongs_to_the_client(frontend: FrontEnd) -> None:
    answer = frontend.ask("POST", "/orders", data=TRADE_BODY, headers={
        **key_of("alice"), "Content-Type": "application/json"
    })  # fmt: skip
    assert answer.json["data"]["client_order_id"] is None
    assert [*frontend.bazaar.by_key] == [scoped("alice", "fresh-1")]
    found = frontend.ask("GET", "/orders?client_order_id=fresh-1", headers=key_of("alice"))
    assert [each["number"] for each in found.json["data"]] == [1]


def shown(frontend: FrontEnd, name: str, target: str) -> Any:
    return frontend.ask("GET", target, headers=key_of(name)).json["data"]


@pytest.mark.parametrize("before", ["", f"{OLD}/trade"])
def test_who_placed_an_order_is_shown_to_that_client_and_to_operators_only(
    frontend: FrontEnd, before: str
) -> None:
    place(frontend, "alice")
    for name, told in {"alice": True, "op": True, "bob": False, "reader": False}.items():
        order = shown(frontend, name, f"{before}/orders/1")
        who = (order["client"], order["client_order_id"])
        assert who == (("alice", "k") if told else (None, None))
        assert (order["number"], order["quantity"]) == (1, 5)
        assert shown(frontend, name, f"{before}/orders") == [order]


def test_a_client_lists_its_own_orders(frontend: FrontEnd) -> None:
    for number, name in enumerate(["alice", "bob", "alice", "bob", "alice"], 1):
        place(frontend, name, f"k{number}")
    first = frontend.ask("GET", "/orders?mine=true&limit=2", headers=key_of("alice")).json
    assert [each["number"] for each in first["data"]] == [1, 3]
    rest = frontend.ask("GET", f"/orders?cursor={first['cursor']}", headers=key_of("alice")).json
    assert [each["number"] for each in rest["data"]] == [5]
    of_bob = shown(frontend, "op", "/orders?client=bob&direction=desc")
    assert [each["number"] for each in of_bob] == [4, 2]
    assert {each["client"] for each in of_bob} == {"bob"}
    assert [each["number"] for each in shown(frontend, "bob", "/orders?client=bob")] == [2, 4]


def test_a_key_is_looked_for_among_those_of_the_caller(frontend: FrontEnd) -> None:
    place(frontend, "alice")
    assert len(shown(frontend, "alice", "/orders?client_order_id=k")) == 1
    assert shown(frontend, "bob", "/orders?client_order_id=k") == []
    assert shown(frontend, "op", "/orders?client_order_id=k") == []
    assert len(shown(frontend, "op", "/orders?client_order_id=k&client=alice")) == 1


@pytest.mark.parametrize("query", ["client=alice", "client=alice&client_order_id=k"])
def test_the_orders_of_another_client_are_for_operators(frontend: FrontEnd, query: str) -> None:
    answer = frontend.ask("GET", f"/orders?{query}", headers=key_of("bob"))
    assert (answer.code, answer.reason) == (403, "not_permitted")


def test_mine_and_client_together_are_the_orders_that_both_say(frontend: FrontEnd) -> None:
    place(frontend, "alice")
    assert len(shown(frontend, "alice", "/orders?mine=true&client=alice")) == 1
    answer = frontend.ask("GET", "/orders?mine=true&client=alice", headers=key_of("op"))
    assert (answer.code, answer.reason) == (400, "invalid_parameter")
    assert FrontEnd().get("/orders?mine=true&client=alice").json["data"] == []


@pytest.mark.parametrize("query", ["mine=true", "client_order_id=k"])
def test_the_cursor_of_another_client_gives_no_right(frontend: FrontEnd, query: str) -> None:
    place(frontend, "alice")
    cursor = frontend.ask("GET", f"/orders?{query}", headers=key_of("alice")).json["cursor"]
    answer = frontend.ask("GET", f"/orders?cursor={cursor}", headers=key_of("bob"))
    assert (answer.code, answer.reason) == (403, "not_permitted")
    assert frontend.ask("GET", f"/orders?cursor={cursor}", headers=key_of("op")).code == 200


def test_of_several_partitions_too_lists_and_cursors_are_the_callers() -> None:
    for query in (b"mine=true", b"partition=1&mine=true", b"client_order_id=k"):
        assert decode_list(query, 2, CLIENTS["alice"]).selection.client == "alice"
        with pytest.raises(Refusal) as caught:
            decode_list(query + b"&client=alice", 2, CLIENTS["bob"])
        assert caught.value.reason in (Reason.NOT_PERMITTED, Reason.INVALID_PARAMETER)


def test_an_unknown_outcome_names_the_clients_own_key() -> None:
    selection = listing.decode_selection(b"client_order_id=k", CLIENTS["alice"])
    assert (selection.client, selection.key) == ("alice", "k")
    assert listing.with_scoped_key(selection) == Selection(
        limit=selection.limit, key=scoped("alice", "k")
    )


def test_cursors_without_a_client_are_those_of_earlier_releases() -> None:
    selection = listing.decode_selection(b"limit=2&stock=GameStart")
    encoded = (
        "h6BNX5UOWzEseyJhZnRlciI6NywibGltaXQiOjIsImRlc2NlbmRpbmciOmZhbHNlLCJzdG9jayI6"
        "IkdhbWVTdGFydCIsInNpZGUiOm51bGwsInNpbmNlIjpudWxsLCJ1bnRpbCI6bnVsbCwia2V5IjoiIn1d"
    )
    assert listing.cursor_of(selection, 7) == encoded


def test_without_a_file_of_clients_the_orders_of_all_are_ones_own() -> None:
    frontend = FrontEnd()
    frontend.trade("buy", 5)
    assert [each["number"] for each in frontend.get("/orders?mine=true").json["data"]] == [1]
    assert "client" not in frontend.get("/orders/1").json["data"]
    assert listing.decode_selection(b"client=alice", ANONYMOUS).client == "alice"


def test_the_description_says_what_each_call_needs_only_where_it_is_asked_for(
    frontend: FrontEnd,
) -> None:
    described = frontend.get("/openapi.json").json
    validate(described)
    for method, path, permission in calls():
        operation = described["paths"][path][method.lower()]
        assert operation["security"] == ([{"apiKey": []}] if permission else [])
        assert ("401" in operation["responses"]) == bool(permission)
        if permission:
            assert f"`{permission}`" in operation["description"]
            schema = operation["responses"]["401"]["content"]["application/json"]["schema"]
            answer = frontend.ask(method, filled(path), data=TRADE_BODY)
            jsonschema.validate(answer.json, {**schema, "components": described["components"]})
    plain = FrontEnd().get("/openapi.json").json
    assert "securitySchemes" not in plain["components"]
    assert "401" not in plain["paths"]["/orders"]["get"]["responses"]
