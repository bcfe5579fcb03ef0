"""`GET /orders` on a running bazaar: by key, stock, side and time, in both directions, and on."""

import itertools
import re
from collections.abc import Iterator
from random import Random
from typing import Any
from urllib.parse import quote, urlencode

import grpc
import pytest

from tests.fakes.certificates import FRONTEND
from tests.integration.bazaar import Bazaar
from tests.integration.replicas import leader, wait_converged
from twisted_bazaar.rpc.bazaar.v1 import market_pb2, order_pb2
from twisted_bazaar.rpc.bazaar.v1.order_pb2_grpc import OrdersStub

from .inside import channel_to

STOCKS = ("GameStart", "FishCo", "Ünter & Söhne")
TRADES = 60
MAX_PAGES = 2 * TRADES
BY_STOCK_AND_TIME = [
    {"stock": stock, "type": side, "since": since, "until": until}
    for stock in (None, *STOCKS)
    for side in (None, "buy", "sell")
    for since, until in ((None, None), (20, None), (None, 40), (20, 40), (40, 20))
]
"""Times are those of orders with these numbers."""


@pytest.fixture(scope="module")
def bazaar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bazaar]:
    folder = tmp_path_factory.mktemp("orders")
    listing = folder / "listing.csv"
    rows = "".join(f"{name},{price}.50,10000\n" for price, name in enumerate(STOCKS, 10))
    listing.write_text(f"name,price,quantity\n{rows}", encoding="utf-8")
    with Bazaar(folder, f"--listing={listing}") as running:
        yield running


@pytest.fixture(scope="module")
def orders(bazaar: Bazaar) -> list[dict[str, Any]]:
    """All orders, which have the keys `client 1` …, as they are read one by one."""
    random = Random(3)
    for number in range(1, TRADES + 1):
        side = random.choice(("buy", "sell"))
        trade = {"name": random.choice(STOCKS), "quantity": random.randrange(1, 9), "type": side}
        placed = bazaar.request("POST", "/orders", {**trade, "client_order_id": f"client {number}"})
        assert placed.body["data"]["transaction_number"] == number
    return [
        bazaar.request("GET", f"/orders/{number}").body["data"] for number in range(1, TRADES + 1)
    ]


def get(bazaar: Bazaar, **parameters: object) -> dict[str, Any]:
    """The body of a page, as these parameters select it; None: without that one."""
    given = {name: value for name, value in parameters.items() if value is not None}
    answer = bazaar.request("GET", f"/orders?{urlencode(given)}")
    assert answer.status == 200, answer
    body: dict[str, Any] = answer.body
    return body


def pages(bazaar: Bazaar, *, by_cursor: bool, **parameters: object) -> list[dict[str, Any]]:
    """All orders that these parameters select, page by page."""
    found: list[dict[str, Any]] = []
    body = get(bazaar, **parameters)
    for _ in range(MAX_PAGES):
        found += body["data"]
        if body["next"] is None:
            return found
        if by_cursor:
            body = get(bazaar, cursor=body["cursor"])
        else:
            body = get(bazaar, **{**parameters, "after": body["next"]})
    raise AssertionError(f"{parameters}: the list has no end after {MAX_PAGES} pages")


def test_every_condition_selects_its_orders_in_both_directions(
    bazaar: Bazaar, orders: list[dict[str, Any]]
) -> None:
    for wanted, by_cursor in zip(BY_STOCK_AND_TIME, itertools.cycle((True, False)), strict=False):
        given = {
            name: orders[at - 1]["time"] if isinstance(at, int) else at
            for name, at in wanted.items()
        }
        expected = [
            order
            for order in orders
            if given["stock"] in (None, order["name"])
            and given["type"] in (None, order["type"])
            and (given["since"] is None or order["time"] >= given["since"])
            and (given["until"] is None or order["time"] < given["until"])
        ]
        ascending = pages(bazaar, by_cursor=by_cursor, limit=7, **given)
        assert ascending == expected, given
        given["direction"] = "desc"
        assert pages(bazaar, by_cursor=by_cursor, limit=7, **given) == expected[::-1], given


def test_an_order_is_found_by_its_client_s_key(
    bazaar: Bazaar, orders: list[dict[str, Any]]
) -> None:
    for number in (1, 30, TRADES):
        found = get(bazaar, client_order_id=f"client {number}")
        assert (found["data"], found["next"]) == ([orders[number - 1]], None)
        assert found["data"][0]["client_order_id"] == f"client {number}"
    for nobody_s in ("client 0", "client", "CLIENT 1", "client 1 ~"):
        assert get(bazaar, client_order_id=nobody_s)["data"] == []
    other = next(name for name in STOCKS if name != orders[0]["name"])
    assert get(bazaar, client_order_id="client 1", stock=other)["data"] == []


def test_an_order_shows_what_it_cost(orders: list[dict[str, Any]]) -> None:
    for order in orders:
        price = 10.5 + STOCKS.index(order["name"])
        assert (order["price"], order["total"]) == (price, price * order["quantity"])


def test_every_replica_finds_what_is_released(bazaar: Bazaar, orders: list[dict[str, Any]]) -> None:
    wait_converged(bazaar, TRADES)
    leading = leader(bazaar)
    sales = [order["number"] for order in orders if order["type"] == "sell"]
    for name in ("order-1", "order-2", "order-3"):
        with channel_to(bazaar, name, FRONTEND) as channel:
            stub = OrdersStub(channel)

            def listed(stub: OrdersStub = stub, **fields: Any) -> list[int]:
                reply = stub.ListOrders(order_pb2.ListOrdersRequest(**fields), timeout=5)
                return [order.number for order in reply.orders]

            assert listed(key="client 7") == [7]
            wanted = {"limit": 3, "side": market_pb2.SIDE_SELL}
            assert listed(after=sales[4], **wanted) == sales[5:8]
            assert listed(after=sales[4], descending=True, **wanted) == sales[1:4][::-1]
            for fields in ({"key": "nobody's"}, {"after": TRADES - 1, "limit": 9}):
                if name == leading:
                    assert listed(**fields) == ([TRADES] if "after" in fields else [])
                    continue
                with pytest.raises(grpc.RpcError) as caught:
                    listed(**fields)
                assert "does not lead" in str(caught.value)


def test_a_cursor_is_taken_up_again_when_there_is_more(
    bazaar: Bazaar, orders: list[dict[str, Any]]
) -> None:
    """Also after its page was the last one."""
    wanted = {"stock": "FishCo", "limit": 500}
    last = get(bazaar, **wanted)
    assert last["next"] is None
    again = get(bazaar, cursor=last["cursor"])
    assert (again["data"], again["next"]) == ([], None)
    numbers = []
    for stock in ("FishCo", "GameStart", "FishCo"):
        trade = {"name": stock, "quantity": 1, "type": "buy"}
        placed = bazaar.request("POST", "/orders", trade)
        numbers.append(placed.body["data"]["transaction_number"])
    for cursor in (last["cursor"], again["cursor"]):
        more = get(bazaar, cursor=cursor, limit=1)
        assert [order["number"] for order in more["data"]] == numbers[:1]
        more = get(bazaar, cursor=more["cursor"])
        assert [order["number"] for order in more["data"]] == numbers[2:]
        assert more["next"] is None


@pytest.mark.parametrize(
    "query",
    [
        "direction=up", "direction=", "type=hold", "type=", "stock=", f"stock={'x' * 65}",
        "since=yesterday", "since=", "since=null", "until=2026-11-22T10:00:00", "until=1790000000",
        "client_order_id=", f"client_order_id={'k' * 129}", "cursor=", "cursor=abc",
        "stock=%ff", "side=buy", "Stock=FishCo",
    ],
)  # fmt: skip
def test_a_wrong_parameter_is_refused_by_name_and_shown(bazaar: Bazaar, query: str) -> None:
    name, _, value = query.partition("=")
    for path in ("/orders", "/api/frontend_service/trade/orders"):
        answer = bazaar.request("GET", f"{path}?{query}")
        error = answer.body["error"]
        assert (answer.status, error["reason"]) == (400, "invalid_parameter")
        if value == "%ff":
            assert "UTF-8" in error["message"]
        else:
            assert name in error["message"]
            assert len(error["message"]) < 300
        if name in ("direction", "type", "since", "until", "cursor"):
            assert f'"{value}"' in error["message"]


def test_a_cursor_that_was_changed_is_refused(bazaar: Bazaar) -> None:
    cursor = get(bazaar, stock="FishCo", limit=1)["cursor"]
    assert re.fullmatch(r"[A-Za-z0-9_-]+", cursor)
    swapped = cursor[:20] + ("A" if cursor[20] != "A" else "B") + cursor[21:]
    for wrong in (cursor[:-1], swapped, cursor.lower(), quote(cursor + "=")):
        answer = bazaar.request("GET", f"/orders?cursor={wrong}")
        assert answer.status == 400
        assert "is none that GET /orders has given" in answer.body["error"]["message"]


def test_orders_are_found_after_all_processes_were_killed(
    bazaar: Bazaar, orders: list[dict[str, Any]]
) -> None:
    bought = pages(bazaar, by_cursor=True, type="buy", limit=9)
    bazaar.kill_all()
    bazaar.start()
    assert pages(bazaar, by_cursor=True, type="buy", limit=9) == bought
    assert get(bazaar, client_order_id="client 5")["data"] == [orders[4]]
