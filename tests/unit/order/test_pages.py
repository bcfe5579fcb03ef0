"""A key without an order is said to have none only after a majority was asked."""

from collections.abc import Sequence
from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred, execute

from tests.fakes.histories import history
from tests.fakes.replicas import result_of
from twisted_bazaar.consensus.entries import Entry
from twisted_bazaar.errors import Damaged, NotLeader, Unavailable
from twisted_bazaar.market import Traded
from twisted_bazaar.order.pages import OrderPages
from twisted_bazaar.selection import Selection
from twisted_bazaar.storage.index import Found

LOG = history(6)
"""Order n has the key `key-n`, and is entry n + 2."""


class Replica:
    """The desk, the log and the index of a replica that knows LOG up to some entry."""

    def __init__(self, indexed: int, released: int) -> None:
        self.indexed = indexed
        """The last order in the index."""
        self.released_number = released
        self.forgotten = indexed
        self.rounds: list[Deferred[int]] = []
        self.looked_up = 0
        self.last_number = 6
        nothing: Any = self
        self.pages = OrderPages(nothing, self.ask, nothing, nothing)

    def ask(self) -> Deferred[int]:
        self.rounds.append(Deferred())
        return self.rounds[-1]

    # The desk.

    def recent(self, after: int, upto: int, descending: bool) -> Sequence[Entry]:
        return LOG[2 + max(after, self.forgotten) : 2 + upto]

    def with_key(self, key: str) -> Entry | None:
        remembered = LOG[2 + self.forgotten : 2 + self.released_number]
        found = [
            each for each in remembered if isinstance(each.event, Traded) and each.event.key == key
        ]
        return found[0] if found else None

    def remembers_all_after(self, index: int) -> bool:
        return index >= self.forgotten + 2

    # The index, and the log.

    def find(self, keys: Sequence[str]) -> Found:
        self.looked_up += 1
        numbers = {f"key-{number}": number for number in range(1, self.indexed + 1)}
        return Found({key: numbers[key] for key in keys if key in numbers}, self.indexed + 2)

    def index_of(self, number: int) -> int:
        return number + 2

    def read(self, after: int, upto: int) -> Sequence[Entry]:
        return LOG[after:upto]

    # The call.

    def defer(self, function: Any, *arguments: Any) -> Deferred[Any]:
        return execute(function, *arguments)

    def asked_for(self, key: str) -> list[Any]:
        """What becomes of the question for the order of `key`."""
        return result_of(Deferred.fromCoroutine(self.pages.with_key(key, cast(Any, self))))

    def page(self, selection: Selection) -> list[Any]:
        return result_of(Deferred.fromCoroutine(self.pages.page(selection, cast(Any, self))))


@pytest.mark.parametrize("indexed", [0, 2, 4])
def test_any_replica_knows_the_order_of_a_key_that_is_released(indexed: int) -> None:
    replica = Replica(indexed, released=4)
    for number in range(1, 5):
        assert replica.asked_for(f"key-{number}") == [LOG[number + 1]]
    assert replica.rounds == []


def test_none_is_said_after_a_round_that_begins_with_the_question() -> None:
    replica = Replica(2, released=4)
    result = replica.asked_for("key-7")
    assert result == []
    [round_] = replica.rounds
    round_.callback(4)
    assert result == [None]


def test_an_order_that_was_proposed_before_the_question_is_found_when_it_is_released() -> None:
    replica = Replica(2, released=4)
    result = replica.asked_for("key-5")
    assert result == [], "it is not released, and may be dropped"
    replica.released_number = 5
    replica.rounds.pop().callback(5)
    assert result == [LOG[6]]


def test_keys_are_looked_up_again_if_the_desk_has_forgotten_what_the_index_lacked() -> None:
    replica = Replica(2, released=4)
    result = replica.asked_for("key-5")
    replica.released_number = replica.indexed = replica.forgotten = 6
    replica.rounds.pop().callback(6)
    assert result == [LOG[6]]
    assert replica.looked_up == 2


def test_only_the_leader_says_that_a_key_has_no_order() -> None:
    replica = Replica(2, released=4)
    result = replica.asked_for("nobody-s")
    replica.rounds.pop().errback(NotLeader())
    assert [type(each) for each in result] == [NotLeader]


def test_a_key_that_the_index_finds_wrongly_is_damage() -> None:
    replica = Replica(2, released=4)
    replica.find = lambda keys: Found({"key-9": 1}, 4)  # type: ignore[method-assign]
    [error] = replica.asked_for("key-9")
    assert isinstance(error, Damaged)


def test_a_page_that_is_full_needs_no_round_and_another_one_does() -> None:
    replica = Replica(2, released=4)
    [found] = replica.page(Selection(1, 3))
    assert (found.entries, found.ended) == (LOG[3:6], False)
    assert replica.rounds == []
    result = replica.page(Selection(1, 4))
    replica.released_number = 5
    replica.rounds.pop().callback(5)
    [found] = result
    assert (found.entries, found.ended) == (LOG[3:7], True)


def test_orders_that_are_not_on_this_disk_yet_are_left_to_another_replica() -> None:
    replica = Replica(4, released=4)
    replica.last_number = 3
    [error] = replica.page(Selection(1, 3))
    assert isinstance(error, Unavailable)
