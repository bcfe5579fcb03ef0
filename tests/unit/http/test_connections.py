"""The phases of connections, their time limits, and which connection is evicted."""

import pytest

from twisted_bazaar.http.connections import (
    MAX_CONNECTIONS,
    MAX_EVICTED,
    REQUEST_SECONDS,
    SECONDS,
    Connections,
    Phase,
    connections_for,
)


def book(limit: int = 3, **phases: Phase) -> Connections[str]:
    """With a connection of each name, in that order, a second after the other."""
    connections: Connections[str] = Connections(limit)
    for now, (name, phase) in enumerate(phases.items()):
        assert connections.add(name, now) == []
        connections.move(name, phase, now)
    return connections


@pytest.mark.parametrize(
    ("descriptors", "connections"),
    [(1024, 768), (128, 64), (512, 256), (16384, MAX_CONNECTIONS), (-1, MAX_CONNECTIONS), (2, 1)],
)
def test_there_are_always_descriptors_left(descriptors: int, connections: int) -> None:
    assert connections_for(descriptors) == connections


def test_up_to_the_limit_no_connection_is_evicted() -> None:
    connections = book(a=Phase.IDLE, b=Phase.IDLE)
    assert connections.add("c", 9.0) == []
    assert (len(connections), set(connections)) == (3, {"a", "b", "c"})


def test_beyond_it_the_one_that_is_idle_for_longest_goes() -> None:
    connections = book(a=Phase.IDLE, b=Phase.IDLE, c=Phase.IDLE)
    connections.move("a", Phase.WORKING, 3.0)
    connections.move("a", Phase.IDLE, 4.0)
    assert connections.add("d", 5.0) == ["b"]


@pytest.mark.parametrize(
    ("phases", "first"),
    [
        ((Phase.IDLE, Phase.REFUSED, Phase.HEAD), "b"),
        ((Phase.HEAD, Phase.BODY, Phase.IDLE), "c"),
        ((Phase.SENDING, Phase.BODY, Phase.HEAD), "c"),
        ((Phase.WORKING, Phase.SENDING, Phase.BODY), "c"),
        ((Phase.WORKING, Phase.WORKING, Phase.SENDING), "c"),
        ((Phase.WORKING, Phase.WORKING, Phase.WORKING), "d"),
    ],
)
def test_the_others_go_in_the_order_of_what_they_would_lose(
    phases: tuple[Phase, ...], first: str
) -> None:
    connections = book(**dict(zip("abc", phases, strict=True)))
    assert connections.add("d", 5.0) == [first]


def test_those_that_leave_do_not_count_but_are_bounded() -> None:
    connections = book(1, a=Phase.IDLE)
    for number in range(MAX_EVICTED):
        [victim] = connections.add(f"{number}", 1.0)
        connections.move(victim, Phase.EVICTED, 1.0)
    [longest, victim] = connections.add("z", 1.0)
    assert (longest, victim) == ("a", f"{MAX_EVICTED - 1}")
    connections.remove(longest)
    connections.move(victim, Phase.EVICTED, 1.0)
    assert len(connections) == MAX_EVICTED + 1


def test_a_connection_that_is_kept_is_not_evicted() -> None:
    connections = book(a=Phase.IDLE, b=Phase.IDLE, c=Phase.HEAD)
    for kept in "ab":
        connections.keep(kept)
    assert connections.add("d", 5.0) == ["c"]
    connections.remove("c")
    connections.keep("d")
    assert connections.add("e", 6.0) == ["e"], "there is no other"
    connections.remove("a")
    connections.remove("e")
    assert connections.add("a", 7.0) == []
    assert connections.add("f", 8.0) == ["a"], "another connection than before"


def test_a_site_may_have_time_limits_of_its_own() -> None:
    connections: Connections[str] = Connections(3, {Phase.IDLE: 5.0})
    connections.add("a", 0.0)
    assert (connections.overdue(4.9), connections.overdue(5.0)) == ([], ["a"])


@pytest.mark.parametrize(("phase", "seconds"), SECONDS.items())
def test_a_phase_has_its_time(phase: Phase, seconds: float) -> None:
    connections = book(a=phase, b=phase)
    assert connections.overdue(seconds - 0.001) == []
    assert connections.overdue(seconds) == ["a"]
    assert connections.overdue(seconds + 1) == ["a", "b"]


def test_work_has_as_much_time_as_it_needs() -> None:
    assert book(a=Phase.WORKING).overdue(1e9) == []


def test_a_new_phase_has_its_own_time_and_the_old_one_none() -> None:
    connections = book(a=Phase.WORKING)
    connections.move("a", Phase.SENDING, 9.0)
    assert connections.overdue(9.0 + SECONDS[Phase.SENDING] - 1) == []
    assert connections.overdue(9.0 + SECONDS[Phase.SENDING]) == ["a"]


def test_a_request_has_its_time_as_a_whole() -> None:
    connections = book(a=Phase.HEAD)
    connections.move("a", Phase.BODY, 9.0)
    assert connections.overdue(REQUEST_SECONDS - 0.001) == []
    assert connections.overdue(REQUEST_SECONDS) == ["a"]


def test_a_request_that_has_come_whole_leaves_its_time_to_the_next() -> None:
    connections = book(a=Phase.BODY)
    connections.move("a", Phase.WORKING, 9.0)
    assert connections.overdue(1e9) == []
    connections.move("a", Phase.IDLE, 10.0)
    connections.move("a", Phase.BODY, 11.0)
    assert connections.overdue(11.0 + REQUEST_SECONDS - 0.001) == []
    assert connections.overdue(11.0 + REQUEST_SECONDS) == ["a"]


def test_one_that_is_late_twice_is_told_once() -> None:
    connections: Connections[str] = Connections(3, SECONDS, SECONDS[Phase.HEAD])
    connections.add("a", 0.0)
    connections.move("a", Phase.HEAD, 0.0)
    assert connections.overdue(1e9) == ["a"]


def test_it_is_full_when_another_would_evict_one() -> None:
    connections = book(2, a=Phase.IDLE)
    assert not connections.is_full
    connections.add("b", 1.0)
    assert connections.is_full
    connections.move("a", Phase.EVICTED, 2.0)
    assert not connections.is_full


def test_to_enter_the_same_phase_again_does_not_prolong_it() -> None:
    connections = book(a=Phase.SENDING, b=Phase.SENDING)
    connections.move("a", Phase.SENDING, 9.0)
    assert connections.overdue(SECONDS[Phase.SENDING]) == ["a"]


def test_a_removed_connection_is_unknown() -> None:
    connections = book(a=Phase.IDLE)
    connections.remove("a")
    connections.remove("a")
    connections.move("a", Phase.SENDING, 1.0)
    assert (connections.phase("a"), len(connections), connections.overdue(1e9)) == (None, 0, [])
