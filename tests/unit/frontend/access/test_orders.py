import pytest

from twisted_bazaar.access import ANONYMOUS, Client, Permission
from twisted_bazaar.frontend.access.orders import owned, seen_by
from twisted_bazaar.http import answers
from twisted_bazaar.market import Order, Side, Trade
from twisted_bazaar.order_keys import scoped

BOTH = frozenset({Permission.READ, Permission.TRADE})
ALICE, BOB = Client("alice", BOTH), Client("bob", BOTH)
OPERATOR = Client("op", frozenset({Permission.OPERATE}))


def order(client: str) -> Order:
    return Order(1, "GameStart", Side.BUY, 5, 0, scoped(client, "k"), False, 1599)


def test_a_trade_has_the_key_of_its_client_inside_and_without_clients_its_own() -> None:
    trade = Trade("k", "GameStart", Side.BUY, 5)
    assert owned(trade, ALICE).key == scoped("alice", "k") != owned(trade, BOB).key
    assert owned(trade, ANONYMOUS) is trade


@pytest.mark.parametrize(
    ("client", "caller", "key", "shown"),
    [
        ("alice", ALICE, "k", b'"client":"alice"'),
        ("alice", OPERATOR, "k", b'"client":"alice"'),
        ("alice", BOB, "", b'"client":null'),
        ("", OPERATOR, "k", b'"client":null'),
        ("", ALICE, "", b'"client":null'),
    ],
)
def test_who_placed_an_order_is_shown_to_that_client_and_to_operators(
    client: str, caller: Client, key: str, shown: bytes
) -> None:
    seen = seen_by(caller, order(client))
    assert seen.key == key
    body = answers.order(seen)
    assert shown in body
    assert b'"quantity":5' in body
    assert (b'"client_order_id":"k"' in body) == bool(key)


def test_where_there_is_no_file_of_clients_all_see_keys_and_nobody_sees_clients() -> None:
    assert seen_by(ANONYMOUS, order("")) == order("")
    body = answers.order(seen_by(ANONYMOUS, order("alice")))
    assert b'"client_order_id":"k"' in body
    assert b'"client":' not in body
