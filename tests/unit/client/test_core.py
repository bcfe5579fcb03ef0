"""Calls without I/O: what is sent, when it is sent again, and what is known in the end."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from twisted_bazaar.client.answers import Answer, Broken
from twisted_bazaar.client.errors import (
    CallFailed,
    NotExecuted,
    OutcomeUnknown,
    Refused,
    Unavailable,
)
from twisted_bazaar.client.retries import ATTEMPT_SECONDS
from twisted_bazaar.client.values import Judged, Order, Placed, Quote, Side, Trade

from .scripted import LOST, NOT_SENT, STOCK, Scripted, failure, placed, success

UNKNOWN = failure(503, "outcome_unknown")
ORDER = b'{"number":%d,"name":"Fish","type":"buy","quantity":5,"time":"2026-11-22T10:43:46.064Z",\
"client_order_id":"k","price":15.90,"total":79.50,"limit_price":16}'


def page(*numbers: int, following: int | None = None, cursor: str = "c") -> Answer:
    orders = b",".join(ORDER % number for number in numbers)
    after = b"null" if following is None else b"%d" % following
    return Answer(
        200, {}, b'{"data":[%s],"next":%s,"cursor":"%s"}' % (orders, after, cursor.encode())
    )


# Values.


def test_a_quote_has_exact_prices_and_its_version() -> None:
    world = Scripted(success(STOCK | {"halted": True}, ETag='"c0ffee-12"'), success(STOCK))
    quote = world.run(world.core.stock("A/B é"))
    assert quote == Quote("Fish", Decimal("20.5"), 3, 9, halted=True, version=12)
    assert world.sent[0].request.target == "/stocks/A%2FB%20%C3%A9"
    assert world.run(world.core.stock("Fish")).version is None


def test_an_order_is_read_exactly() -> None:
    world = Scripted(Answer(200, {}, b'{"data":%s}' % (ORDER % 7)))
    order = world.run(world.core.order(7))
    at = datetime(2026, 11, 22, 10, 43, 46, 64000, tzinfo=UTC)
    limit = Decimal("16")
    assert order == Order(
        7, "Fish", Side.BUY, 5, at, "k", Decimal("15.90"), Decimal("79.50"), limit
    )


def test_an_order_of_an_earlier_release_lacks_its_price() -> None:
    old = {"number": 1, "name": "F", "type": "sell", "quantity": 2, "time": "2026-01-01T00:00:00Z"}
    world = Scripted(success(old))
    order = world.run(world.core.order(1))
    assert order is not None
    assert (order.price, order.total, order.client_order_id) == (None, None, None)


def test_an_order_that_is_not_there_is_none_and_another_404_is_refused() -> None:
    world = Scripted(failure(404, "no_such_order"), failure(404, "no_such_path"))
    assert world.run(world.core.order(9)) is None
    with pytest.raises(Refused, match="no_such_path"):
        world.run(world.core.order(9))


def test_a_key_is_found_or_has_no_order() -> None:
    world = Scripted(page(3), page())
    order = world.run(world.core.find("a key/é"))
    assert order is not None
    assert order.number == 3
    assert world.run(world.core.find("b")) is None
    assert world.sent[0].request.target == "/orders?client_order_id=a+key%2F%C3%A9"


def test_a_placed_trade_has_its_key_price_and_whether_it_is_replayed() -> None:
    world = Scripted(placed(4, Idempotent_Replayed="true"))
    done = world.run(world.core.place("Fish", "buy", 5, client_order_id="k"))
    assert done == Placed(4, "k", Decimal("15.90"), Decimal("79.50"), replayed=True)


def test_a_judged_trade_has_the_price_that_it_would_have() -> None:
    world = Scripted(success({"transaction_number": None, "price": 2, "total": 4}))
    assert world.run(world.core.validate("Fish", "buy", 2)) == Judged(Decimal(2), Decimal(4))
    assert world.sent[0].request.target == "/orders?validate=true"
    assert world.bodies[0]["client_order_id"] == "key-1"


# What is sent.


def test_a_limit_is_sent_as_exactly_the_number_that_it_is() -> None:
    world = Scripted(placed(), placed())
    world.run(world.core.place("Fish", Side.BUY, 5, limit_price=Decimal("1234567890123456.10")))
    assert b'"limit_price":1234567890123456.10' in (world.sent[0].request.body or b"")
    assert world.bodies[0]["type"] == "buy"


@pytest.mark.parametrize("limit", [15.9, 16, "16"])
def test_a_limit_that_is_no_decimal_is_never_sent(limit: Any) -> None:
    world = Scripted()
    with pytest.raises(TypeError, match="not a Decimal"):
        world.run(world.core.place("Fish", "buy", 5, limit_price=limit))
    assert not world.sent


@pytest.mark.parametrize("limit", ["NaN", "Infinity"])
def test_a_limit_that_is_no_number_is_never_sent(limit: str) -> None:
    world = Scripted()
    with pytest.raises(ValueError, match=limit):
        world.run(world.core.place("Fish", "buy", 5, limit_price=Decimal(limit)))


def test_a_time_is_sent_in_utc_and_one_without_a_zone_is_not() -> None:
    world = Scripted(placed())
    east = timezone(timedelta(hours=2))
    until = datetime(2026, 11, 28, 12, 0, 0, 1999, tzinfo=east)
    world.run(world.core.place("Fish", "buy", 5, valid_until=until))
    assert world.bodies[0]["valid_until"] == "2026-11-28T10:00:00.001Z"
    with pytest.raises(ValueError, match="no time zone"):
        world.run(world.core.place("Fish", "buy", 5, valid_until=datetime(2026, 11, 28)))


def test_a_page_is_asked_for_with_its_filters_in_whole_milliseconds() -> None:
    world = Scripted(page())
    since = datetime(2026, 11, 28, 10, 0, 0, 1, tzinfo=UTC)
    world.run(world.core.page(after=3, direction="desc", stock="A&B", type="sell", since=since))
    assert world.sent[0].request.target == (
        "/orders?after=3&direction=desc&stock=A%26B&type=sell&since=2026-11-28T10%3A00%3A00.001Z"
    )


# Again.


def test_every_attempt_of_a_trade_has_the_same_key_and_each_trade_its_own() -> None:
    world = Scripted(LOST, UNKNOWN, failure(503, "not_executed"), placed(7), placed(8))
    done = world.run(world.core.place("Fish", "buy", 5))
    other = world.run(world.core.place("Fish", "buy", 5))
    assert (done.number, done.client_order_id, other.client_order_id) == (7, "key-1", "key-2")
    keys = [body["client_order_id"] for body in world.bodies]
    assert keys == ["key-1"] * 4 + ["key-2"]


@pytest.mark.parametrize(
    "again", [LOST, NOT_SENT, UNKNOWN, failure(503, "unavailable"), Answer(502, {}, b"<html>")]
)
def test_what_may_succeed_later_is_sent_again(again: Any) -> None:
    world = Scripted(again, success(STOCK), again, placed())
    assert world.run(world.core.stock("Fish")).name == "Fish"
    assert world.run(world.core.place("Fish", "buy", 5)).number == 1


@pytest.mark.parametrize(
    ("code", "reason"), [(400, "unknown_stock"), (409, "halted"), (422, "key_reused")]
)
def test_what_is_refused_is_not_sent_again(code: int, reason: str) -> None:
    world = Scripted(failure(code, reason, X_Request_ID="r-1"))
    with pytest.raises(Refused, match=f"because {reason}") as caught:
        world.run(world.core.place("Fish", "buy", 5))
    why = caught.value
    assert (why.code, why.reason, why.client_order_id, why.request_id) == (
        code,
        reason,
        "key-1",
        "r-1",
    )
    assert len(world.sent) == 1


def test_pauses_double_up_to_a_bound_and_differ() -> None:
    world = Scripted(*[NOT_SENT] * 30, deadline=30.0)
    with pytest.raises(NotExecuted):
        world.run(world.core.place("Fish", "buy", 5))
    wholes = [0.1, 0.2, 0.4, 0.8, 1.6, *[2.0] * 30]
    assert all(each / 2 <= pause <= each for pause, each in zip(world.pauses, wholes, strict=False))
    assert len(set(world.pauses)) == len(world.pauses) > 10


def test_no_pause_is_shorter_than_the_bazaar_asks_for() -> None:
    world = Scripted(failure(503, "overloaded", Retry_After="3"), placed())
    world.run(world.core.place("Fish", "buy", 5))
    assert 3.0 < world.pauses[0] <= 3.1
    # There is no use in waiting until the deadline for an attempt that would come after it.
    late = Scripted(failure(503, "overloaded", Retry_After="60"))
    with pytest.raises(NotExecuted):
        late.run(late.core.place("Fish", "buy", 5))
    assert late.pauses == []


LIMITED = failure(429, "too_many_requests", Retry_After="2")


def test_a_client_whose_rate_is_limited_waits_as_long_as_it_is_told_at_the_same_front_end() -> None:
    urls = ("http://a", "http://b")
    world = Scripted(LIMITED, success(STOCK), LIMITED, LIMITED, placed(), urls=urls)
    world.run(world.core.stock("Fish"))
    world.run(world.core.place("Fish", "buy", 5))
    assert [each.url for each in world.sent] == ["http://a"] * 5
    assert all(2.0 < pause <= 2.2 for pause in world.pauses)
    assert len(world.pauses) == 3


def test_a_batch_whose_rate_is_limited_waits_at_the_same_front_end() -> None:
    trades = [Trade("Fish", Side.BUY, 1)] * 2
    placed_both = success([outcome(200, 1), outcome(200, 2)])
    world = Scripted(LIMITED, NOT_SENT, placed_both, urls=("http://a", "http://b"))
    world.run(world.core.place_batch(trades))
    assert [each.url for each in world.sent] == [f"http://{name}" for name in "aab"]
    assert world.pauses[0] > 2.0


def test_one_address_with_too_many_connections_may_try_another_front_end() -> None:
    refused = failure(429, "too_many_connections", Retry_After="1")
    world = Scripted(refused, placed(), urls=("http://a", "http://b"))
    world.run(world.core.place("Fish", "buy", 5))
    assert [each.url for each in world.sent] == ["http://a", "http://b"]


@pytest.mark.parametrize("deadline", [0.5, 15.0, 60.0])
def test_a_call_takes_no_longer_than_its_deadline(deadline: float) -> None:
    world = Scripted(*[LOST] * 100, answer_seconds=1000.0)
    with pytest.raises(Unavailable):
        world.run(world.core.stocks(deadline=deadline))
    assert world.now <= 1000.0 + deadline + 1e-9
    assert all(each.seconds <= ATTEMPT_SECONDS for each in world.sent)
    assert len(world.sent) >= deadline // (ATTEMPT_SECONDS + 2)


def test_another_front_end_is_asked_after_a_failure_and_kept_while_it_answers() -> None:
    answers = [NOT_SENT, success(STOCK), success(STOCK), LOST, success(STOCK)]
    world = Scripted(*answers, urls=("http://a/", "http://b"))
    for _ in range(3):
        world.run(world.core.stock("Fish"))
    assert [each.url for each in world.sent] == [f"http://{name}" for name in "abbba"]


def test_only_urls_of_front_ends_are_taken() -> None:
    for urls in ((), ("localhost:8081",)):
        with pytest.raises(ValueError, match="not the URLs of front-ends"):
            Scripted(urls=urls)


# What is known in the end.

REJECTED = failure(409, "not_enough_shares")
MALFORMED = Answer(200, {}, b'{"data":{}}')
LATE = Broken("no answer in time", late=True)
NOT_SENT_LATE = Broken("no connection in time", served=False, late=True)
REJECTED_CERTIFICATE = Broken("no connection: certificate", served=False)


@pytest.mark.parametrize(
    ("answers", "known"),
    [
        ([NOT_SENT], NotExecuted),
        ([failure(503, "not_executed")], NotExecuted),
        ([failure(503, "overloaded")], NotExecuted),
        ([failure(429, "too_many_requests")], NotExecuted),
        ([failure(429, "too_many_connections")], NotExecuted),
        ([Answer(429, {}, b"<html>")], OutcomeUnknown),
        ([LOST, failure(429, "too_many_requests")], OutcomeUnknown),
        ([LOST], OutcomeUnknown),
        ([UNKNOWN], OutcomeUnknown),
        ([failure(202, "outcome_unknown")], OutcomeUnknown),
        ([failure(500, "internal_error")], OutcomeUnknown),
        ([failure(503, "unavailable")], OutcomeUnknown),
        ([Answer(504, {}, b"<html>")], OutcomeUnknown),
        ([MALFORMED], OutcomeUnknown),
        # An earlier attempt may have been executed.
        ([LOST, NOT_SENT], OutcomeUnknown),
        ([UNKNOWN, failure(503, "not_executed")], OutcomeUnknown),
        # The leader has looked for the key before it refused the trade.
        ([UNKNOWN, REJECTED], Refused),
        ([failure(503, "not_executed"), REJECTED], Refused),
        ([NOT_SENT, REJECTED], Refused),
        # But what was not answered may still arrive, and be executed then.
        ([LOST, REJECTED], OutcomeUnknown),
        ([LOST, UNKNOWN, failure(409, "halted")], OutcomeUnknown),
        # Unless it can't be, at any time.
        ([LOST, failure(409, "expired")], Refused),
        ([LOST, failure(422, "key_reused")], Refused),
        ([LOST, failure(400, "invalid_field")], Refused),
        # A front-end or proxy that does not look at the trade says nothing of earlier attempts.
        ([LOST, failure(403, "foreign_host")], OutcomeUnknown),
        ([UNKNOWN, Answer(404, {}, b"<html>")], OutcomeUnknown),
        ([failure(403, "foreign_host")], Refused),
    ],
)
def test_what_is_known_of_a_trade_is_no_more_than_its_attempts_say(
    answers: list[Any], known: type[CallFailed]
) -> None:
    world = Scripted(*answers, *[answers[-1]] * 40)
    with pytest.raises(CallFailed) as caught:
        world.run(world.core.place("Fish", "buy", 5))
    assert type(caught.value) is known
    assert caught.value.client_order_id == "key-1"


@pytest.mark.parametrize("late", [LATE, NOT_SENT_LATE])
@pytest.mark.parametrize(
    ("before", "told"),
    [
        ([], ""),
        ([REJECTED_CERTIFICATE], "; before that: no connection: certificate"),
        ([REJECTED_CERTIFICATE, LATE], "; before that: no connection: certificate"),
        ([REJECTED_CERTIFICATE, UNKNOWN], "; before that: because outcome_unknown"),
    ],
)
def test_a_call_whose_time_runs_out_tells_what_an_earlier_attempt_met(
    before: list[Any], told: str, late: Broken
) -> None:
    world = Scripted(*before, *[late] * 40)
    with pytest.raises((NotExecuted, OutcomeUnknown)) as caught:
        world.run(world.core.place("Fish", "buy", 5))
    assert str(caught.value).startswith(late.why + told)
    world = Scripted(*before, *[late] * 40)
    with pytest.raises(Unavailable) as missed:
        world.run(world.core.stocks())
    assert str(missed.value) == late.why + told


def test_a_read_that_is_not_answered_is_unavailable() -> None:
    for answer in (LOST, NOT_SENT, UNKNOWN, Answer(200, {}, b"<html>")):
        world = Scripted(*[answer] * 40)
        with pytest.raises(Unavailable):
            world.run(world.core.stocks())


# Batches.


def outcome(code: int, number: int = 0, reason: str = "") -> dict[str, Any]:
    if code == 200:
        return {"code": 200, "data": {"transaction_number": number, "price": 1, "total": 2}}
    return {"code": code, "error": {"code": code, "reason": reason, "message": reason}}


def test_only_what_is_not_settled_of_a_batch_is_sent_again() -> None:
    trades = [
        Trade("Fish", Side.BUY, n, client_order_id=f"k{n}" if n < 4 else None) for n in range(1, 5)
    ]
    first = [outcome(200, 1), outcome(503, reason="not_executed"), outcome(409, reason="halted"),
             outcome(503, reason="outcome_unknown")]  # fmt: skip
    world = Scripted(
        NOT_SENT, success(first), LOST, success([outcome(200, 2), outcome(409, reason="halted")])
    )
    one, two, three, four = world.run(world.core.place_batch(trades))
    assert isinstance(one, Placed)
    assert isinstance(two, Placed)
    assert (one.number, one.client_order_id, two.number) == (1, "k1", 2)
    assert isinstance(three, Refused)
    assert isinstance(four, OutcomeUnknown)
    assert four.client_order_id == "key-1"
    sent = [[each["client_order_id"] for each in body["orders"]] for body in world.bodies]
    assert sent == [["k1", "k2", "k3", "key-1"]] * 2 + [["k2", "key-1"]] * 2


def test_what_is_said_of_a_whole_batch_is_said_of_each_trade() -> None:
    trades = [Trade("Fish", Side.BUY, 1)] * 2
    for answer, known in ((failure(400, "malformed"), Refused), (LOST, OutcomeUnknown),
                          (success([outcome(200)]), OutcomeUnknown)):  # fmt: skip
        world = Scripted(*[answer] * 40)
        assert {type(each) for each in world.run(world.core.place_batch(trades))} == {known}


def test_an_empty_batch_is_not_sent() -> None:
    world = Scripted()
    assert world.run(world.core.place_batch([])) == []


# Pages.


def test_all_orders_come_page_by_page_by_the_cursor() -> None:
    world = Scripted(
        page(1, 2, following=2, cursor="x/y"), LOST, page(3, following=3, cursor="z"), page()
    )
    found = world.found(world.core.orders(stock="Fish", limit=2))
    assert [each.number for each in found] == [1, 2, 3]
    assert [each.request.target for each in world.sent] == [
        "/orders?limit=2&stock=Fish",
        "/orders?limit=2&cursor=x%2Fy",
        "/orders?limit=2&cursor=x%2Fy",
        "/orders?limit=2&cursor=z",
    ]


def test_only_what_the_bazaar_has_judged_is_refused_for_good() -> None:
    for_good = {
        reason: Refused("no", reason=reason).for_good
        for reason in ("expired", "key_reused", "halted", "foreign_host", "no_such_path", "")
    }
    assert for_good == {
        "expired": True,
        "key_reused": True,
        "halted": False,
        "foreign_host": False,
        "no_such_path": False,
        "": False,
    }


def test_a_stock_without_a_name_is_never_asked_for() -> None:
    world = Scripted()
    with pytest.raises(ValueError, match="not empty"):
        world.run(world.core.stock(""))
    assert not world.sent


def test_all_orders_of_several_partitions_come_until_there_are_no_more() -> None:
    def merged(cursor: str, more: str, *numbers: int) -> Answer:
        shown = ",".join(
            f'{{"number":{number},"name":"A","type":"buy","quantity":1,"partition":{number % 1000},'
            '"time":"2026-01-01T00:00:00Z"}'
            for number in numbers
        )
        body = f'{{"data":[{shown}],"next":null,"cursor":"{cursor}","more":{more}}}'
        return Answer(200, {}, body.encode())

    world = Scripted(
        merged("x", "true", 1000, 1001), merged("y", "true"), merged("z", "false", 2001)
    )
    found = world.found(world.core.orders(limit=2))
    assert [(order.number, order.partition) for order in found] == [(1000, 0), (1001, 1), (2001, 1)]
    assert [each.request.target for each in world.sent] == [
        "/orders?limit=2", "/orders?limit=2&cursor=x", "/orders?limit=2&cursor=y",
    ]  # fmt: skip


def test_the_orders_of_one_partition_are_asked_for_by_it() -> None:
    world = Scripted(page(3))
    world.run(world.core.page(partition=1, after=1001))
    assert world.sent[0].request.target == "/orders?after=1001&partition=1"
