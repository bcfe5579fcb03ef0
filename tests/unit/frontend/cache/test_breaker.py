"""The circuit breaker of a cache: when a command may be sent, and when the store is given up."""

from twisted_bazaar.frontend.cache.breaker import Breaker

PAUSE = 2.0
PATIENCE = 3
CAPACITY = 4


def closed() -> Breaker:
    breaker = Breaker(PAUSE, PATIENCE, CAPACITY)
    trial = breaker.admit(0.0)
    assert trial is not None
    breaker.answered(trial)
    assert breaker.closed
    return breaker


def admitted(breaker: Breaker, now: float = 0.0) -> int:
    command = breaker.admit(now)
    assert command is not None
    return command


def test_a_store_that_was_never_asked_is_tried_at_once_with_a_single_command() -> None:
    breaker = Breaker(PAUSE, PATIENCE, CAPACITY)
    assert not breaker.closed
    assert breaker.wait(0.0) == 0.0
    trial = admitted(breaker)
    assert breaker.admit(0.0) is None
    assert not breaker.answered(trial)  # it works, as expected
    assert breaker.closed
    admitted(breaker)


def test_after_a_failure_nothing_is_sent_for_a_pause_and_then_one_command() -> None:
    breaker = closed()
    breaker.failed(10.0)
    assert not breaker.closed
    assert breaker.wait(10.5) == PAUSE - 0.5
    assert breaker.admit(10.0) is None
    assert breaker.admit(9.9 + PAUSE) is None
    assert breaker.wait(10.0 + PAUSE) == 0.0
    admitted(breaker, 10.0 + PAUSE)
    assert breaker.admit(10.0 + PAUSE) is None
    assert not breaker.closed


def test_a_trial_that_is_answered_closes_the_breaker() -> None:
    breaker = closed()
    breaker.failed(10.0)
    breaker.answered(admitted(breaker, 10.0 + PAUSE))
    assert breaker.closed
    admitted(breaker, 10.0 + PAUSE)


def test_a_trial_that_fails_begins_another_pause() -> None:
    breaker = closed()
    breaker.failed(10.0)
    admitted(breaker, 20.0)
    breaker.failed(20.1)
    assert breaker.admit(20.0 + PAUSE) is None
    admitted(breaker, 20.1 + PAUSE)


def test_a_cancelled_trial_makes_room_for_another() -> None:
    breaker = closed()
    breaker.failed(10.0)
    trial = admitted(breaker, 20.0)
    breaker.forgotten(trial)
    assert not breaker.answered(trial)
    assert not breaker.closed
    admitted(breaker, 20.0)


def test_an_answer_to_what_failed_proves_nothing() -> None:
    breaker = closed()
    before = admitted(breaker)
    breaker.failed(10.0)
    assert not breaker.answered(before)
    assert not breaker.closed
    admitted(breaker, 20.0)
    assert not breaker.answered(before)
    assert not breaker.closed


def test_giving_up_and_coming_back_are_news_once() -> None:
    breaker = Breaker(PAUSE, PATIENCE, CAPACITY)
    for _ in range(2):
        assert [breaker.failed(0.0), breaker.failed(1.0), breaker.failed(2.0)] == [True, 0, 0]
        trial = admitted(breaker, 10.0)
        assert [breaker.answered(trial), breaker.answered(trial)] == [True, False]
        assert not breaker.answered(admitted(breaker))


def test_what_is_under_way_is_bounded() -> None:
    breaker = closed()
    commands = [admitted(breaker) for _ in range(CAPACITY)]
    assert breaker.admit(0.0) is None
    breaker.answered(commands[1])
    breaker.forgotten(commands[2])
    admitted(breaker)
    admitted(breaker)
    assert breaker.admit(0.0) is None
    breaker.failed(0.0)
    breaker.answered(admitted(breaker, PAUSE))
    assert breaker.admit(PAUSE) is not None


def test_a_command_waits_for_so_many_ticks_however_long_they_took() -> None:
    breaker = closed()
    admitted(breaker)
    assert [breaker.tick() for _ in range(PATIENCE)] == [False] * (PATIENCE - 1) + [True]


def test_each_command_has_its_own_time() -> None:
    breaker = closed()
    first = admitted(breaker)
    assert not breaker.tick()
    second = admitted(breaker)
    assert not breaker.tick()
    breaker.answered(first)
    assert not breaker.tick()  # which would have been the end of the first
    assert breaker.tick()
    breaker.answered(second)
    assert not breaker.tick()


def test_ticks_are_needed_while_something_is_under_way() -> None:
    breaker = closed()
    assert breaker.idle
    commands = [admitted(breaker), admitted(breaker)]
    for command in commands:
        assert not breaker.idle
        breaker.answered(command)
    assert breaker.idle
    admitted(breaker)
    breaker.failed(0.0)
    assert breaker.idle
    assert not breaker.tick()
