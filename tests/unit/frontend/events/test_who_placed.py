"""Who placed an order is in the stream of that client and of operators, and of nobody else."""

import json
import re
from typing import Any

import pytest

from twisted_bazaar.access import ANONYMOUS, Client, Permission
from twisted_bazaar.frontend.api.streams import decode_asked
from twisted_bazaar.frontend.clients import _event
from twisted_bazaar.frontend.events.journal import Journal, Position, Wanted
from twisted_bazaar.frontend.events.merged_journal import MergedJournal
from twisted_bazaar.frontend.events.merged_reader import MergedReader
from twisted_bazaar.frontend.events.news import EVERYONE, News
from twisted_bazaar.frontend.events.reader import Reader
from twisted_bazaar.market import Order, Side
from twisted_bazaar.order_keys import scoped

PLACED = ["alice", "bob", "", "alice"]
SEEN = {
    "": [None, None, None, None],
    "alice": ["alice", None, None, "alice"],
    "bob": [None, "bob", None, None],
    EVERYONE: ["alice", "bob", None, "alice"],
}


def events(partitions: int = 1, with_clients: bool = True) -> list[Any]:
    return [
        _event(
            Order(number, "A", Side.BUY, 1, number, scoped(client, f"k{number}"), False, 1),
            *(0, partitions, with_clients),
        )
        for number, client in enumerate(PLACED, 1)
    ]


def orders_in(data: bytes) -> list[Any]:
    return [json.loads(each) for each in re.findall(rb"data: (.*)\n", data)]


FIRST = News([], [], 0, 1, "d1", "")


def check(data: bytes, sees: str) -> None:
    found = orders_in(data)
    assert [order["client"] for order in found] == SEEN[sees]
    told = [order["client_order_id"] is not None for order in found]
    assert told == [sees == EVERYONE or order["client"] is not None for order in found]
    assert b"u001f" not in data


@pytest.mark.parametrize("sees", SEEN)
def test_in_what_comes_up_and_in_what_is_replayed(sees: str) -> None:
    wanted = Wanted(quotes=False, leader=False, sees=sees)
    journal = Journal(FIRST)
    journal.take(News(events(), [], 4, 2, "d2", "d1"))
    check(journal.cut(Position(0), wanted).data, sees)
    check(Reader(wanted, 0, False, 0.0).replayed(events()), sees)


@pytest.mark.parametrize("sees", SEEN)
def test_in_streams_of_several_partitions(sees: str) -> None:
    wanted = Wanted(quotes=False, leader=False, sees=sees)
    journal = MergedJournal([FIRST, FIRST], lambda stock: 0)
    reader = MergedReader(wanted, None, journal, False, 0.0)
    journal.take_from(0, News(events(2), [], 4, 2, "d2", "d1"))
    check(reader.next(journal), sees)
    late = MergedReader(wanted, (0, 0), journal, False, 0.0)
    check(late.replayed_from({0: events(2)}), sees)


def test_readers_that_see_no_more_than_others_share_what_is_encoded() -> None:
    journal = Journal(FIRST)
    journal.take(News(events()[:2], [], 2, 2, "d2", "d1"))
    cuts = {
        name: journal.cut(Position(1), Wanted(sees=name)) for name in ("", "alice", "carol", "bob")
    }
    assert cuts[""] is cuts["alice"] is cuts["carol"] is not cuts["bob"]


def test_without_a_file_of_clients_there_is_one_form_with_the_clients_key() -> None:
    [first, *_] = events(with_clients=False)
    assert first.whole == b""
    [order] = orders_in(first.event)
    assert order["client_order_id"] == "k1"
    assert "client" not in order


def test_what_a_reader_sees_follows_from_who_asks() -> None:
    def sees(caller: Client) -> str:
        return decode_asked(b"", None, caller=caller).wanted.sees

    assert sees(ANONYMOUS) == ""
    assert sees(Client("alice", frozenset({Permission.READ}))) == "alice"
    assert sees(Client("op", frozenset({Permission.READ, Permission.OPERATE}))) == EVERYONE
