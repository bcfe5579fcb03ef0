"""The stream of events: taken up again where it broke, with each order once."""

from decimal import Decimal

import msgspec
import pytest

from twisted_bazaar.client.answers import Answer
from twisted_bazaar.client.errors import Refused, Unavailable
from twisted_bazaar.client.steps import Open
from twisted_bazaar.client.values import Leader, Order, Quote

from .scripted import LOST, NOT_SENT, STOCK, Scripted, failure

OPEN = Answer(200, {}, b"")
ENDED = b""
LAST = Answer(200, {}, b'{"data":[],"next":null,"cursor":"c"}')


def order(number: int) -> bytes:
    shown = {"number": number, "name": "Fish", "type": "buy", "quantity": 1, "price": 2.5,
             "time": "2026-01-01T00:00:00Z"}  # fmt: skip
    return message("order", shown, f"id: {number}\n")


def message(event: str, data: object, more: str = "") -> bytes:
    return f"event: {event}\n{more}data: ".encode() + msgspec.json.encode(data) + b"\n\n"


def opened(world: Scripted) -> list[tuple[str, str, str | None]]:
    return [
        (each.url, each.request.target, each.request.headers.get("Last-Event-ID"))
        for each in world.sent
        if isinstance(each, Open)
    ]


def test_every_kind_of_event_is_a_value_and_an_unknown_one_is_passed_over() -> None:
    quote = message("quote", STOCK | {"halted": False, "version": 4})
    leader = message("leader", {"id": 2, "term": 9})
    world = Scripted(OPEN, b"retry: 1000\n\n" + quote, message("news", 1) + leader, order(6))
    seen = world.found(world.core.events(after=5))
    assert seen[:2] == [Quote("Fish", Decimal("20.5"), 3, 9, version=4), Leader(2, 9)]
    assert isinstance(seen[2], Order)
    assert seen[2].price == Decimal("2.5")


def test_a_stream_that_breaks_is_taken_up_behind_the_last_order_at_another_front_end() -> None:
    half = order(3)[:20]
    replies = [OPEN, b"retry: 700\n\n" + order(1) + order(2) + half, ENDED, OPEN, order(3), ENDED]
    world = Scripted(*replies, OPEN, ENDED, urls=("http://a", "http://b"))
    seen = world.found(world.core.events(after=0, stocks=["Fish"], events=["order"]))
    assert [each.number for each in seen if isinstance(each, Order)] == [1, 2, 3]
    query = "stocks=Fish&events=order"
    assert opened(world) == [
        ("http://a", f"/events?after=0&{query}", None),
        ("http://b", f"/events?{query}", "2"),
        ("http://a", f"/events?{query}", "3"),
    ]
    assert world.pauses[0] == 0.7


def test_an_order_that_is_repeated_is_not_shown_again() -> None:
    world = Scripted(OPEN, order(1) + order(2), ENDED, OPEN, order(2) + order(3))
    seen = world.found(world.core.events(after=0))
    assert [each.number for each in seen if isinstance(each, Order)] == [1, 2, 3]


def test_from_now_on_begins_behind_an_order_so_that_no_break_leaves_a_gap() -> None:
    last = b'{"data":[%s],"next":null,"cursor":"c"}' % order(41).split(b"data: ")[1].strip()
    for answer, number in ((LAST, 0), (Answer(200, {}, last), 41)):
        world = Scripted(answer, OPEN, ENDED, NOT_SENT, OPEN)
        world.found(world.core.events())
        assert world.sent[0].request.target == "/orders?limit=1&direction=desc"
        again = ("http://a", "/events", str(number))
        assert opened(world) == [("http://a", f"/events?after={number}", None), again, again]


@pytest.mark.parametrize("bad", [message("order", {"number": 3}), b"data: " + b"x" * (2 << 20)])
def test_a_stream_that_is_not_understood_is_broken(bad: bytes) -> None:
    world = Scripted(OPEN, order(2) + bad, OPEN, order(3))
    seen = world.found(world.core.events(after=1))
    assert [each.number for each in seen if isinstance(each, Order)][-1] == 3


def test_a_stream_that_is_refused_or_cannot_be_had_in_time_fails() -> None:
    world = Scripted(failure(400, "invalid_parameter"))
    with pytest.raises(Refused):
        world.found(world.core.events(after=1, stocks=["?"]))
    world = Scripted(OPEN, ENDED, *[LOST] * 40)
    with pytest.raises(Unavailable):
        world.found(world.core.events(after=1))


def test_a_stream_is_taken_up_behind_orders_of_other_stocks_that_were_passed_over() -> None:
    replies = [OPEN, order(3) + b"id: 900\n\n", b"id: 950\nda", ENDED]
    world = Scripted(*replies, OPEN, ENDED)
    world.found(world.core.events(after=0, stocks=["Fish"]))
    assert [last for _, _, last in opened(world)][:2] == [None, "900"]


def test_a_comma_or_backslash_in_the_name_of_a_stock_is_no_end_of_it() -> None:
    world = Scripted(OPEN, ENDED, deadline=0.5)
    world.found(world.core.events(after=0, stocks=["A,B", "C\\"]))
    assert opened(world)[0][1] == "/events?after=0&stocks=A%5C%2CB%2CC%5C%5C"


# Several partitions.


def of_partition(number: int, partition: int, id: str) -> bytes:
    shown = {"number": number, "name": "Fish", "type": "buy", "quantity": 1,
             "time": "2026-01-01T00:00:00Z", "partition": partition}  # fmt: skip
    return message("order", shown, f"id: {id}\n")


def test_a_stream_of_several_partitions_goes_on_with_the_last_id() -> None:
    first = of_partition(2001, 1, "pA") + of_partition(1000, 0, "pB")
    replies = [OPEN, b"id: p0\n\n" + first + b"id: pC\n\n", ENDED]
    again = of_partition(1000, 0, "pB") + of_partition(2000, 0, "pD")
    world = Scripted(*replies, OPEN, again, ENDED, OPEN, ENDED)
    seen = world.found(world.core.events(after=0))
    assert [(each.number, each.event_id) for each in seen if isinstance(each, Order)] == [
        (2001, "pA"), (1000, "pB"), (2000, "pD"),
    ]  # fmt: skip
    assert [last for _, _, last in opened(world)] == [None, "pC", "pD"]


def test_a_program_goes_on_behind_the_order_that_it_saw_last() -> None:
    world = Scripted(OPEN, of_partition(2000, 0, "pD"), ENDED, OPEN, ENDED)
    world.found(world.core.events(after="pB", events=["order"]))
    assert opened(world)[0][1:] == ("/events?after=pB&events=order", None)
    assert opened(world)[1][2] == "pD"


def test_from_now_on_is_asked_of_the_bazaar_where_there_are_several() -> None:
    last = Answer(200, {}, b'{"data":[],"next":null,"cursor":"c","more":false}')
    world = Scripted(last, OPEN, ENDED, OPEN, b"id: pA\n\n", ENDED, OPEN, ENDED)
    world.found(world.core.events())
    assert [each[1:] for each in opened(world)] == [
        ("/events", None), ("/events", None), ("/events", "pA"),
    ]  # fmt: skip


def test_the_leader_of_each_partition_is_told() -> None:
    leader = message("leader", {"id": 2, "term": 9, "partition": 1})
    world = Scripted(OPEN, leader, ENDED)
    assert world.found(world.core.events(after=0))[:1] == [Leader(2, 9, 1)]
