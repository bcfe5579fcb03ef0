"""Both forms of the client, against a bazaar whose processes are killed."""

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from twisted_bazaar.client import Client, Judged, Order, Placed, Quote, Refused, Side, Trade
from twisted_bazaar.client.deferreds import Deferreds
from twisted_bazaar.client.values import Event

from .bazaar import Bazaar
from .waiting import wait_until

TOLD_SECONDS = 30.0


@pytest.fixture
def client(bazaar: Bazaar) -> Any:
    with Client(bazaar.url) as client:
        yield client


def test_what_a_trade_cost_is_known_wherever_it_is_asked(client: Client) -> None:
    limit = Decimal("16")
    placed = client.place("GameStart", "buy", 5, client_order_id="bought", limit_price=limit)
    assert (placed.price, placed.total) == (Decimal("15.99"), Decimal("79.95"))
    again = client.place("GameStart", "buy", 5, client_order_id="bought", limit_price=limit)
    assert again == Placed(placed.number, "bought", placed.price, placed.total, replayed=True)
    order = client.order(placed.number)
    assert order is not None
    assert order == client.find("bought")
    assert (order.client_order_id, order.price, order.limit_price) == (
        "bought",
        placed.price,
        limit,
    )
    assert abs(datetime.now(UTC) - order.time) < timedelta(minutes=5)


def test_a_trade_outside_its_conditions_is_refused_and_leaves_nothing(client: Client) -> None:
    with pytest.raises(Refused) as caught:
        client.place("GameStart", "buy", 1, client_order_id="cheap", limit_price=Decimal("15.98"))
    assert (caught.value.reason, caught.value.for_good) == ("price_out_of_bounds", False)
    past = datetime.now(UTC) - timedelta(seconds=1)
    with pytest.raises(Refused) as caught:
        client.place("GameStart", "buy", 1, client_order_id="late", valid_until=past)
    assert (caught.value.reason, caught.value.for_good) == ("expired", True)
    assert client.find("cheap") is client.find("late") is None


def test_validation_executes_nothing(client: Client) -> None:
    judged = client.validate("FishCo", "sell", 2, client_order_id="maybe")
    assert judged == Judged(Decimal("20.50"), Decimal("41.00"))
    assert client.find("maybe") is None


def test_a_batch_has_an_outcome_for_each_of_its_trades(client: Client) -> None:
    trades = [
        Trade("BoarCo", Side.BUY, 1, "b1"),
        Trade("NoCo", Side.BUY, 1, "b2"),
        Trade("BoarCo", Side.SELL, 2, "b3"),
        Trade("BoarCo", Side.BUY, 1, "b1"),
    ]
    one, none, three, same = client.place_batch(trades)
    assert isinstance(one, Placed)
    assert isinstance(three, Placed)
    assert isinstance(same, Placed)
    assert (three.number, same.number) == (one.number + 1, one.number)
    assert isinstance(none, Refused)
    assert none.reason == "unknown_stock"


def test_orders_come_in_both_directions_across_pages(client: Client) -> None:
    began = datetime.now(UTC)
    placed = [client.place("MindComp", "buy", 1).number for _ in range(5)]
    up = [each.number for each in client.orders(stock="MindComp", since=began, limit=2)]
    down = [each.number for each in client.orders(stock="MindComp", direction="desc", limit=2)]
    assert up == placed
    assert down == placed[::-1]
    # A cursor goes on where its page ended, also when there was no more.
    end = client.page(stock="MindComp", after=placed[-1])
    assert (end.orders, end.next) == ((), None)
    more = client.place("MindComp", "buy", 1).number
    assert [each.number for each in client.page(cursor=end.cursor).orders] == [more]


def test_a_stream_shows_each_order_once_though_the_front_end_is_killed(
    bazaar: Bazaar, client: Client
) -> None:
    first = client.place("BankCo", "buy", 1).number
    events = client.events(after=first - 1, stocks=["BankCo"])
    seen: list[int] = []

    def read_to(number: int) -> None:
        # Heartbeats keep a stream alive that lacks an order.
        until = time.monotonic() + TOLD_SECONDS
        while not seen or seen[-1] < number:
            assert time.monotonic() < until, f"order {number} is not told, after {seen}"
            event = next(events)
            assert not isinstance(event, Quote) or event.name == "BankCo"
            if isinstance(event, Order):
                seen.append(event.number)

    read_to(first)
    placed = [first, client.place("BankCo", "buy", 1).number]
    bazaar.wait_restarted("frontend", bazaar.kill("frontend"))
    # Neither call fails: both are sent again until the front-end is back.
    placed.append(client.place("BankCo", "buy", 1).number)
    read_to(placed[-1])
    assert seen == placed
    events.close()  # type: ignore[attr-defined]


@pytest_twisted.ensureDeferred
async def test_deferreds_trade_and_are_told_while_the_leader_is_killed(bazaar: Bazaar) -> None:
    from twisted.internet import reactor

    client = Deferreds(reactor, bazaar.url)  # type: ignore[arg-type]
    seen: list[Event] = []
    first = (await client.place("RomanCo", "buy", 1)).number
    events = client.events(seen.append, after=first - 1, events=["order"])
    leader = await deferToThread(leader_of, bazaar)
    bazaar.kill(leader)
    placed = [await call for call in [client.place("RomanCo", "buy", 1) for _ in range(5)]]
    numbers = [first, *sorted(each.number for each in placed)]
    shown = [order.number async for order in client.orders(stock="RomanCo")]
    assert shown == numbers
    await deferToThread(wait_until, lambda: len(seen) >= len(numbers), "all orders are told")
    assert [each.number for each in seen if isinstance(each, Order)] == numbers
    events.addErrback(lambda _: None).cancel()
    await client.close()


def leader_of(bazaar: Bazaar) -> str:
    rows = bazaar.request("GET", "/replicas").body["data"]
    return next(f"order-{row['id']}" for row in rows if row["role"] == "leader")
