"""The callers that wait for a replica's answers: each is told once."""

import pytest

from tests.fakes.leaks import nothing_leaks  # noqa: F401
from tests.fakes.replicas import result_of
from twisted_bazaar.errors import Malformed, Unavailable
from twisted_bazaar.order.answers import Answers

STOPPED = Unavailable("this replica had to stop")


def test_a_caller_is_answered_once() -> None:
    answers: Answers[int, str] = Answers()
    first = result_of(answers.expect(1, lambda: None))
    second = result_of(answers.expect(2, lambda: None))
    answers.answer(2, "two")
    assert (first, second) == ([], ["two"])
    with pytest.raises(KeyError):
        answers.answer(2, "two again")
    answers.fail(1, STOPPED)
    assert first == [STOPPED]
    assert not answers


def test_an_answer_may_come_while_it_is_asked_for() -> None:
    answers: Answers[int, str] = Answers()
    assert result_of(answers.expect(1, lambda: answers.answer(1, "one"))) == ["one"]


def test_what_cannot_be_asked_fails() -> None:
    answers: Answers[int, str] = Answers()

    def ask() -> None:
        raise Malformed("a term that jumps")

    (told,) = result_of(answers.expect(1, ask))
    assert isinstance(told, Malformed)
    assert not answers


def test_a_replica_that_stops_while_it_is_asked_tells_all() -> None:
    answers: Answers[int, str] = Answers()
    waiting = result_of(answers.expect(1, lambda: None))

    def ask() -> None:
        answers.fail_all(STOPPED)
        raise Unavailable("this replica must stop")

    assert result_of(answers.expect(2, ask)) == [STOPPED]
    assert waiting == [STOPPED]
