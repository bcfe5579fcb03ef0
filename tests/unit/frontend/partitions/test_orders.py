"""Single orders of several partitions: the number says which has it."""

from typing import Any

from twisted.internet.defer import Deferred, succeed

from twisted_bazaar.frontend.partitions.orders import OrderRouter
from twisted_bazaar.market import Order, Side

from .members import outcome_of


class Replicas:
    def __init__(self) -> None:
        self.asked: list[tuple[int, str]] = []

    def get(self, number: int, request_id: str, context: Any) -> Deferred[Any]:
        self.asked.append((number, request_id))
        known = Order(number, "A", Side.BUY, 5, 0, "key", False, 100, None)
        return succeed(known if number < 10 else None)


def test_an_order_is_read_where_it_is_and_shown_by_the_number_that_clients_see() -> None:
    replicas: Any = [Replicas(), Replicas()]
    router = OrderRouter(replicas)
    found = outcome_of(router.get(7001, "request-1"))
    assert (found.number, found.partition) == (7001, 1)
    assert [each.asked for each in replicas] == [[], [(7, "request-1")]]
    assert outcome_of(router.get(10_000)) is None
    assert replicas[0].asked == [(10, "")]


def test_a_number_that_no_partition_can_have_is_asked_of_none() -> None:
    replicas: Any = [Replicas(), Replicas()]
    router = OrderRouter(replicas)
    answers = [router.get(number) for number in (7002, 1, 0, 999)]
    assert [outcome_of(each) for each in answers] == [None] * 4
    assert [each.asked for each in replicas] == [[], []]
