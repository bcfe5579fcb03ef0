"""The cache in memory: what it keeps, and what it drops."""

from collections.abc import Sequence

import pytest

from twisted_bazaar.frontend.cache.memory import MemoryCache
from twisted_bazaar.frontend.cache.quotes import Quote

LOG = "0123456789abcdef"
ANOTHER_LOG = "fedcba9876543210"


def quote(version: int) -> Quote:
    return Quote(version, b"version %d" % version)


def versions(cache: MemoryCache, names: Sequence[str], history: str = LOG) -> dict[str, int]:
    answers: list[dict[str, int]] = []
    cache.get(history, names).addCallback(
        lambda found: answers.append({name: each.version for name, each in found.items()})
    )
    return answers.pop()  # nothing in memory takes any time


def test_memory_answers_with_what_it_was_given_and_nothing_else() -> None:
    cache = MemoryCache()
    cache.put(LOG, {"GameStart": quote(7), "FishCo": quote(9)})
    assert versions(cache, ["GameStart", "Nope", "FishCo"]) == {"GameStart": 7, "FishCo": 9}
    assert versions(cache, []) == {}


@pytest.mark.parametrize(("second", "kept"), [(6, 7), (7, 7), (8, 8), (10, 10)])
def test_memory_keeps_the_newest(second: int, kept: int) -> None:
    cache = MemoryCache()
    cache.put(LOG, {"GameStart": quote(7)})
    cache.put(LOG, {"GameStart": quote(second)})
    assert versions(cache, ["GameStart"]) == {"GameStart": kept}


def test_memory_never_mixes_up_two_order_logs() -> None:
    cache = MemoryCache()
    cache.put(LOG, {"GameStart": quote(7)})
    assert versions(cache, ["GameStart"], ANOTHER_LOG) == {}
    cache.put(ANOTHER_LOG, {"GameStart": quote(3)})
    cache.drop(LOG, ["GameStart"])
    assert versions(cache, ["GameStart"], ANOTHER_LOG) == {"GameStart": 3}


def test_memory_forgets_what_it_is_told_to_forget() -> None:
    cache = MemoryCache()
    cache.put(LOG, {"GameStart": quote(7), "FishCo": quote(9)})
    cache.drop(LOG, ["GameStart", "Nope"])
    assert versions(cache, ["GameStart", "FishCo"]) == {"FishCo": 9}


@pytest.mark.parametrize("use", ["get", "put"])
def test_a_full_memory_drops_what_was_used_longest_ago(use: str) -> None:
    cache = MemoryCache(capacity=3)
    cache.put(LOG, {name: quote(7) for name in "abc"})
    if use == "get":
        assert versions(cache, ["a"]) == {"a": 7}
    else:
        cache.put(LOG, {"a": quote(7)})
    cache.put(LOG, {"d": quote(7)})
    assert sorted(versions(cache, "abcd")) == ["a", "c", "d"]
    cache.put(ANOTHER_LOG, {name: quote(7) for name in "vwxyz"})
    assert sorted(versions(cache, "vwxyz", ANOTHER_LOG)) == ["x", "y", "z"]
    assert versions(cache, "abcd") == {}
