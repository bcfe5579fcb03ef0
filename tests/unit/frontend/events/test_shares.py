from twisted_bazaar.frontend.events.shares import Shares


def taken(shares: Shares, client: str, tries: int = 100) -> int:
    return sum(shares.take(client) for _ in range(tries))


def test_one_client_alone_has_half_of_all_and_leaves_as_many_to_others() -> None:
    shares = Shares(10)
    assert taken(shares, "greedy") == 5
    assert taken(shares, "other") == 2
    assert shares.take("third")
    assert (shares.of("greedy"), shares.of("other"), shares.of("third")) == (5, 2, 1)


def test_clients_without_a_name_may_have_all_but_no_more() -> None:
    shares = Shares(10)
    assert taken(shares, "") == 10
    assert not shares.take("alice")
    shares.left("")
    assert shares.take("alice")
    assert not shares.take("")


def test_each_client_may_have_one_while_there_is_room() -> None:
    shares = Shares(3)
    assert [shares.take(name) for name in "abcd"] == [True, True, True, False]


def test_what_is_left_may_be_taken_again() -> None:
    shares = Shares(4)
    for _ in range(5):
        assert taken(shares, "alice") == 2
        for _ in range(2):
            shares.left("alice")
    assert shares.of("alice") == 0
