"""What clients see of an order where the market has several partitions."""

import json

from twisted_bazaar.frontend.partitions.numbers import place_of, shown_order, shown_outcome
from twisted_bazaar.http import answers
from twisted_bazaar.market import Judged, Order, Placed, Side

ORDER = Order(7, "FishCo", Side.BUY, 5, 1_795_337_026_064, "bot-1", False, 1599, None)


def test_an_order_of_several_partitions_says_which_it_is_in() -> None:
    shown = shown_order(ORDER, 2, 4)
    data = json.loads(answers.order(shown))["data"]
    assert (data["number"], data["partition"]) == (7002, 2)
    assert place_of(7002, 4) == (2, 7)


def test_with_one_partition_an_order_is_shown_as_it_is() -> None:
    assert shown_order(ORDER, 0, 1) is ORDER
    assert "partition" not in json.loads(answers.order(ORDER))["data"]
    assert place_of(7, 1) == (0, 7)


def test_a_number_that_no_order_can_have_has_no_place() -> None:
    assert place_of(7004, 4) is None  # there is no partition 4
    assert place_of(2, 4) is None  # no number begins before 1
    assert place_of(1000, 4) == (0, 1)


def test_the_outcome_of_a_trade_has_the_number_that_clients_see() -> None:
    assert shown_outcome(Placed(7, True, 1599), 3, 4) == Placed(7003, True, 1599)
    assert shown_outcome(Placed(7, True, 1599), 0, 1) == Placed(7, True, 1599)
    # An order of a stock that has moved is where the stock was.
    assert shown_outcome(Placed(7, True, 1599, 1), 3, 4) == Placed(7001, True, 1599)
    judged = Judged(1599)
    assert shown_outcome(judged, 3, 4) is judged
