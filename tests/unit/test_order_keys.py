from itertools import product

from twisted_bazaar.access import ANONYMOUS, CLIENT_NAME, UNKNOWN, Client, Permission
from twisted_bazaar.frontend.api.requests import KEY
from twisted_bazaar.order_keys import (
    MAX_SCOPED_KEY_CHARACTERS,
    SEPARATOR,
    client_of,
    own_key,
    scoped,
)


def test_without_clients_a_key_is_what_it_is() -> None:
    assert scoped("", "bot-1") == "bot-1"
    assert (client_of("bot-1"), own_key("bot-1")) == ("", "bot-1")


def test_a_scoped_key_is_taken_apart_into_what_it_was_made_of() -> None:
    for client, key in product(["a", "a.b-c_9", "x" * 32], ["k", "k k", "a.b", "~" * 128]):
        inside = scoped(client, key)
        assert (client_of(inside), own_key(inside)) == (client, key)


def test_keys_of_two_clients_are_never_equal() -> None:
    clients, keys = ["", "a", "ab", "a-"], ["b", "ab", "-b", "a-b", "b b"]
    assert len({scoped(client, key) for client, key in product(clients, keys)}) == 20


def test_the_separator_is_in_no_name_and_in_no_key_that_a_client_may_choose() -> None:
    assert CLIENT_NAME.fullmatch(f"a{SEPARATOR}b") is None
    assert KEY.fullmatch(f"a{SEPARATOR}b") is None


def test_the_longest_key_inside_has_the_size_that_wires_allow() -> None:
    name, key = "n" * 32, "k" * 128
    assert CLIENT_NAME.fullmatch(name)
    assert KEY.fullmatch(key)
    assert not CLIENT_NAME.fullmatch(name + "n")
    assert not KEY.fullmatch(key + "k")
    assert len(scoped(name, key)) == MAX_SCOPED_KEY_CHARACTERS


def test_a_client_may_do_what_its_permissions_say() -> None:
    reader = Client("reader", frozenset({Permission.READ}))
    assert [each for each in Permission if reader.may(each)] == [Permission.READ]
    assert all(map(ANONYMOUS.may, Permission))
    assert not any(map(UNKNOWN.may, Permission))
