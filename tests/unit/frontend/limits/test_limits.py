"""Each client has a bucket of its own, and each address of those without an API key."""

import pytest

from twisted_bazaar.access import ANONYMOUS, UNKNOWN, Client, Permission
from twisted_bazaar.frontend.limits import limits as module
from twisted_bazaar.frontend.limits.bucket import Left
from twisted_bazaar.frontend.limits.limits import Limits
from twisted_bazaar.rate import Rate

SECOND = 10**9
TWO = Rate(1_000, 2)


def client(name: str, rate: Rate | None = TWO) -> Client:
    return Client(name, frozenset(Permission), rate)


def passes(limits: Limits, caller: Client, address: str, now: int = 0) -> bool:
    left = limits.take(caller, address, 1, now)
    return left is None or left.retry_after is None


@pytest.mark.parametrize("caller", [ANONYMOUS, UNKNOWN])
def test_who_shows_no_api_key_is_limited_by_address(caller: Client) -> None:
    limits = Limits(TWO)
    assert [passes(limits, caller, "a") for _ in range(3)] == [True, True, False]
    assert [passes(limits, caller, "b") for _ in range(3)] == [True, True, False]
    assert passes(limits, caller, "a", SECOND)


def test_without_a_rate_nobody_is_limited_by_address() -> None:
    assert Limits().take(ANONYMOUS, "a", 1000, 0) is None


def test_a_client_is_limited_by_its_name_wherever_it_calls_from() -> None:
    limits = Limits(TWO)
    calls = [("alice", "a"), ("alice", "b"), ("alice", "c"), ("bob", "a")]
    assert [passes(limits, client(*call[:1]), call[1]) for call in calls] == [
        *(True, True, False),
        True,
    ]
    assert passes(limits, UNKNOWN, "a"), "what clients call is not counted for their address"


def test_a_client_without_a_rate_is_not_limited() -> None:
    limits = Limits(TWO)
    assert limits.take(client("alice", None), "a", 1000, 0) is None


def test_a_client_whose_rate_is_changed_keeps_what_it_has_taken() -> None:
    limits = Limits()
    assert limits.take(client("alice", Rate(1_000, 10)), "a", 8, 0) == Left(10, 2, 8)
    assert limits.take(client("alice", Rate(2_000, 20)), "a", 2, 0) == Left(20, 10, 5)


def test_the_address_that_was_heard_longest_ago_is_forgotten_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_ADDRESSES", 2)
    limits = Limits(TWO)
    for address in ("a", "a", "b", "b", "a"):
        passes(limits, ANONYMOUS, address)
    passes(limits, ANONYMOUS, "c")
    assert not passes(limits, ANONYMOUS, "a"), "it was heard after b"
    assert passes(limits, ANONYMOUS, "b"), "it was forgotten"
    assert len(limits._addresses) == 2
