"""Calls of the API: what an answer, or none, is recorded as."""

from typing import Any

import msgspec
import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from load.client.api import Caller
from load.history.records import History, Quote, Verdict
from twisted_bazaar.client.answers import Answer, Broken
from twisted_bazaar.client.requests import Request
from twisted_bazaar.market import Side


class Scripted:
    """A session that gives one answer to everything."""

    def __init__(self, status: int, body: object, headers: dict[str, str]) -> None:
        content = body if isinstance(body, bytes) else msgspec.json.encode(body)
        self._reply = Answer(status, headers, content)

    def send(self, url: str, request: Request, seconds: float) -> Deferred[Answer | Broken]:
        return succeed(self._reply)


def caller(status: int, body: object, **headers: str) -> Caller:
    given = {name.replace("_", "-").lower(): text for name, text in headers.items()}
    session: Any = Scripted(status, body, given)
    return Caller(session, Clock().seconds, ["http://front"], History(), 1)


def result(coroutine: Any) -> Any:
    results: list[Any] = []
    Deferred.fromCoroutine(coroutine).addCallback(results.append)
    return results[0]


def failure(message: str, reason: str = "") -> object:
    return {"error": {"code": 0, "reason": reason, "message": message}}


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (200, {"data": {"transaction_number": 7}}, Verdict.PLACED),
        (200, {"data": {}}, Verdict.UNKNOWN),
        (200, b"<html>", Verdict.UNKNOWN),
        (409, failure("not enough shares"), Verdict.REJECTED),
        (422, failure("the key belongs to another trade"), Verdict.REUSED),
        (400, failure("malformed"), Verdict.NOT_EXECUTED),
        (503, failure("any text", "not_executed"), Verdict.NOT_EXECUTED),
        (503, failure("any text", "overloaded"), Verdict.NOT_EXECUTED),
        (503, failure("the trade was not executed", "outcome_unknown"), Verdict.UNKNOWN),
        (503, failure("the trade was not executed", "unavailable"), Verdict.UNKNOWN),
        (503, {"error": {"code": 503, "message": "not executed"}}, Verdict.UNKNOWN),
        (503, b"<html>", Verdict.UNKNOWN),
        (500, failure("a fault of ours"), Verdict.UNKNOWN),
    ],
)
def test_a_verdict_is_certain_only_if_the_answer_says_so(
    status: int, body: object, verdict: Verdict
) -> None:
    call = result(caller(status, body).trade(0, "k", "Fish", Side.BUY, 1, 5.0))
    assert (call.status, call.verdict) == (status, verdict)
    assert call.number == (7 if verdict is Verdict.PLACED else None)


def test_a_lookup_has_its_version_from_the_entity_tag() -> None:
    stock = {"name": "Fish", "price": 1.5, "quantity": 3, "volume": 9}
    call = result(caller(200, {"data": stock}, ETag='"c0ffee-12"').lookup(0, "Fish", 5.0))
    assert call.found == Quote("Fish", 1.5, 3, 9, 12, halted=False)
    assert result(caller(404, failure("none")).lookup(0, "Fish", 5.0)).found is None


def test_a_lookup_has_the_source_of_its_answer() -> None:
    stock = {"name": "Fish", "price": 1.5, "quantity": 3, "volume": 9}
    for answer in (caller(200, {"data": stock}, X_Cache="hit"), caller(404, failure("none"))):
        call = result(answer.lookup(0, "Fish", 5.0))
        assert call.source == ("hit" if call.found else "")


def test_a_malformed_answer_is_recorded_as_such() -> None:
    for answer in (b"", b"{}", b'{"data": 3}', b"\xff"):
        call = result(caller(200, answer).order(0, 1, 5.0))
        assert (call.found, call.status) == (None, 200)
        assert call.message.startswith("a malformed body")
