"""Which stocks were looked up lately."""

from twisted_bazaar.frontend.cache.recent import RECENT_SECONDS, Recent


def test_a_stock_is_recent_for_a_while_and_no_longer() -> None:
    recent = Recent()
    recent.has("A", 100.0)
    recent.add("A")
    assert recent.has("A", 100.0)
    assert recent.has("A", 100.0 + 1.5 * RECENT_SECONDS)
    assert not recent.has("A", 100.0 + 2.5 * RECENT_SECONDS)
    assert not recent.has("B", 100.0)


def test_names_that_clients_make_up_are_bounded() -> None:
    recent = Recent()
    for number in range(100_000):
        recent.add(f"X{number}")
    assert len(recent._new) < 10_000
