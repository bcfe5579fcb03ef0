"""What is told of a leader's calls to the engine."""

from typing import Any, cast

import pytest
from twisted.internet.defer import fail

from twisted_bazaar.engine.calls import Beat
from twisted_bazaar.engine.servers import Misconfigured
from twisted_bazaar.engine.shared_log import EngineError, Lost, Refused, Released, Unknown
from twisted_bazaar.metrics.figures import Metrics
from twisted_bazaar.order.partitioned.figures import MemberFigures
from twisted_bazaar.order.partitioned.writing import Writing


class Failing:
    """A thread whose calls fail."""

    def __init__(self, error: EngineError) -> None:
        self._error = error

    def call(self, *_: object) -> Any:
        return fail(self._error)


@pytest.mark.parametrize(
    ("kind", "result"),
    [(Lost, "lost"), (Refused, "refused"), (Unknown, "unknown"), (Misconfigured, "unknown")],
)
def test_each_error_of_an_engine_is_counted_and_returned(
    kind: type[EngineError], result: str
) -> None:
    """A password that is changed while a member leads must not end it."""
    figures, told, answers = MemberFigures(Metrics()), list[str](), list[object]()

    def wrote(*call: Any) -> None:
        figures.wrote(*call)
        told.append(call[-1])

    writing = Writing(cast(Any, Failing(kind("why"))), 1.0, lambda: 0.0, wrote)
    writing.make(Beat(term=1, beat=1, released=Released())).addBoth(answers.append)
    assert told == [result]
    assert [type(each) for each in answers] == [kind]
