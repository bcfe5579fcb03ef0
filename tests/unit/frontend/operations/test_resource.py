"""`/market` on the internal endpoint: who may ask, what is answered, and what is logged."""

import json
from itertools import count
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure

from tests.fakes.internal_endpoint import Answer, InternalEndpoint, request
from twisted_bazaar.consensus.membership import MembersChange, RemoveMember
from twisted_bazaar.errors import (
    BazaarError,
    ChangeRefused,
    MembersRefused,
    NotExecuted,
    OutcomeUnknown,
    Unavailable,
)
from twisted_bazaar.frontend.cache.invalidation import (
    MAX_CONNECTIONS,
    MAX_HEADLESS_BUFFERED_BYTES,
    MAX_HEADLESS_BYTES,
)
from twisted_bazaar.frontend.operations.challenges import Challenges, sign_operation
from twisted_bazaar.frontend.operations.requests import Show
from twisted_bazaar.frontend.operations.resource import MarketOperations
from twisted_bazaar.market import Change, ChangeRefusal, Repriced

SECRET = b"0123456789abcdef"
CHEAPER = b'{"operation": "price", "name": "GameStart", "price": 0.05}'
MARKET = b'{"data":[]}'
PARTITIONS = b'{"data":{}}'


class Operated:
    """The internal endpoint of a front-end, and what its leader is asked for."""

    def __init__(self, secret: bytes = SECRET) -> None:
        numbers = count()
        self.asked: list[Change] = []
        self.outcome: Any = 830
        self.led: list[tuple[int, int]] = []
        self.members: list[tuple[MembersChange, int | None]] = []
        self.market = MarketOperations(
            Challenges(secret, b"key", lambda: f"nonce{next(numbers)}"),
            self,
            {Show.MARKET: lambda: succeed(MARKET), Show.PARTITIONS: lambda: succeed(PARTITIONS)},
            lambda: self.endpoint.clock.seconds(),
        )
        self.endpoint = InternalEndpoint(secret, market=self.market)

    def change(self, change: Change) -> Deferred[int]:
        self.asked.append(change)
        return self._answer()

    def change_members(self, change: MembersChange, based_on: int | None) -> Deferred[int]:
        self.members.append((change, based_on))
        return self._answer()

    def hand_over(self, partition: int, member: int) -> Deferred[None]:
        self.led.append((partition, member))
        return self._answer()

    def _answer(self) -> Deferred[Any]:
        if isinstance(self.outcome, Deferred):
            return self.outcome
        if isinstance(self.outcome, BazaarError):
            return fail(self.outcome)
        return succeed(self.outcome)

    def challenge(self) -> bytes:
        answer = self.endpoint.ask(request(b"GET", b"/market", b""))
        assert answer.code == 200
        challenge: str = json.loads(answer.body)["data"]["challenge"]
        return challenge.encode()

    def signed(self, body: bytes, secret: bytes = SECRET) -> bytes:
        """A request with this body, signed for a new challenge."""
        challenge = self.challenge()
        lines = (
            b"X-Bazaar-Challenge: " + challenge,
            b"X-Bazaar-Signature: " + sign_operation(secret, challenge.decode(), body),
        )
        return request(b"POST", b"/market", body, *lines)

    def operate(self, body: bytes = CHEAPER) -> Answer:
        return self.endpoint.ask(self.signed(body))


@pytest.fixture
def operated() -> Operated:
    return Operated()


def reason(answer: Answer) -> Any:
    assert answer.message
    return json.loads(answer.body)["error"]["reason"]


def test_a_signed_operation_is_carried_out_and_logged(operated: Operated) -> None:
    with capturedLogs() as logged:
        answer = operated.operate()
    assert (answer.code, json.loads(answer.body)) == (200, {"data": {"index": 830}})
    assert operated.asked == [Repriced("GameStart", 5)]
    assert [line for event in logged if "entry" in (line := formatEvent(event))] == [
        "entry 830: Repriced(stock='GameStart', price=5)"
    ]


def test_what_was_so_already_has_no_entry(operated: Operated) -> None:
    operated.outcome = 0
    assert json.loads(operated.operate().body) == {"data": {"index": None}}


def test_the_market_is_shown_to_who_signs(operated: Operated) -> None:
    assert operated.operate(b'{"operation": "show"}').body == MARKET
    assert not operated.asked


def test_the_partitions_are_shown_to_who_signs(operated: Operated) -> None:
    assert operated.operate(b'{"operation": "partitions"}').body == PARTITIONS


def test_of_several_partitions_each_entry_is_told_and_logged(operated: Operated) -> None:
    operated.outcome = {0: 830, 2: 17}
    with capturedLogs() as logged:
        answer = operated.operate()
    assert json.loads(answer.body) == {
        "data": {"entries": [{"partition": 0, "index": 830}, {"partition": 2, "index": 17}]}
    }
    assert [line for event in logged if "entry" in (line := formatEvent(event))] == [
        "entry 830 of partition 0: Repriced(stock='GameStart', price=5)",
        "entry 17 of partition 2: Repriced(stock='GameStart', price=5)",
    ]
    operated.outcome = {}
    assert json.loads(operated.operate().body) == {"data": {"entries": []}}


def test_a_partition_is_given_to_another_leader(operated: Operated) -> None:
    operated.outcome = None
    with capturedLogs() as logged:
        answer = operated.operate(b'{"operation": "lead", "partition": 3, "member": 2}')
    assert json.loads(answer.body) == {"data": {"partition": 3, "member": 2}}
    assert "partition 3 is to be led by replica 2" in [formatEvent(event) for event in logged]
    answer = operated.operate(b'{"operation": "lead", "partition": 3}')
    assert json.loads(answer.body) == {"data": {"partition": 3, "member": None}}
    assert operated.led == [(3, 2), (3, 0)]


def test_a_recording_has_no_effect(operated: Operated) -> None:
    sent = operated.signed(CHEAPER)
    assert operated.endpoint.ask(sent).code == 200
    again = operated.endpoint.ask(sent)
    assert (again.code, reason(again)) == (403, "not_signed")
    elsewhere = Operated()
    elsewhere.market._challenges._key = b"another key"
    assert elsewhere.endpoint.ask(sent).code == 403
    assert len(operated.asked) == 1
    assert not elsewhere.asked


def test_without_the_secret_nothing_is_changed(operated: Operated) -> None:
    wrong = [
        operated.signed(CHEAPER, b"another secret of 16"),
        operated.signed(CHEAPER).replace(b"0.05", b"0.06"),
        request(b"POST", b"/market", CHEAPER),
    ]
    for sent in wrong:
        answer = operated.endpoint.ask(sent)
        assert (answer.code, reason(answer)) == (403, "not_signed")
    assert not operated.asked


def test_without_a_secret_at_all_one_line_says_so() -> None:
    operated = Operated(secret=b"")
    answer = operated.endpoint.ask(operated.signed(CHEAPER, b""))
    assert (answer.code, reason(answer)) == (403, "not_signed")
    assert "has no --secret-file" in answer.message
    assert not operated.asked


def test_wrong_signatures_are_logged_at_a_bounded_rate(operated: Operated) -> None:
    with capturedLogs() as logged:
        for _ in range(20):
            operated.endpoint.ask(request(b"POST", b"/market", CHEAPER))
    refused = [event for event in logged if "operation is refused" in formatEvent(event)]
    assert len(refused) == 1


@pytest.mark.parametrize(
    ("error", "code", "word"),
    [
        (ChangeRefused(ChangeRefusal.UNKNOWN_STOCK, "none"), 400, "unknown_stock"),
        (ChangeRefused(ChangeRefusal.INVALID, "none"), 400, "invalid_field"),
        (ChangeRefused(ChangeRefusal.LISTED_ALREADY, "none"), 409, "listed_already"),
        (ChangeRefused(ChangeRefusal.TOO_MANY_STOCKS, "none"), 409, "too_many_stocks"),
        (MembersRefused("a change is under way"), 409, "members_refused"),
        (MembersRefused("none would be left", is_final=True), 400, "invalid_field"),
        (NotExecuted("none leads"), 503, "not_executed"),
        (OutcomeUnknown("lost"), 503, "outcome_unknown"),
        (Unavailable("gone"), 503, "unavailable"),
    ],
)
def test_each_failure_has_its_reason(
    operated: Operated, error: BazaarError, code: int, word: str
) -> None:
    operated.outcome = error
    answer = operated.operate()
    assert (answer.code, reason(answer)) == (code, word)
    assert str(error) in answer.message
    assert bool(answer.headers.getRawHeaders("Retry-After")) == (code == 503)


def test_an_unexpected_error_is_answered_and_logged(
    operated: Operated, logged_failures: list[Failure]
) -> None:
    operated.outcome = fail(Failure(RuntimeError("a bug")))
    answer = operated.operate()
    assert (answer.code, reason(answer)) == (500, "internal_error")
    [failure] = logged_failures
    assert "a bug" in str(failure)
    logged_failures.clear()


@pytest.mark.parametrize("method", [b"PUT", b"DELETE", b"HEAD"])
def test_only_get_and_post_can_be_done(operated: Operated, method: bytes) -> None:
    answer = operated.endpoint.ask(request(method, b"/market", b""))
    assert answer.code == 405
    assert answer.headers.getRawHeaders("Allow") == ["GET, POST"]


def test_a_large_body_is_refused_before_it_comes(operated: Operated) -> None:
    large = request(b"POST", b"/market", b"x" * (MAX_HEADLESS_BYTES + 1))
    assert operated.endpoint.ask(large[:300]).code == 413
    assert operated.endpoint.ask(request(b"POST", b"/market", b"x", chunk=1)).code == 411


def test_unfinished_bodies_have_a_bound_together(operated: Operated) -> None:
    opened = MAX_HEADLESS_BUFFERED_BYTES // MAX_HEADLESS_BYTES
    begun = request(b"POST", b"/market", b"x" * MAX_HEADLESS_BYTES)[:-1]
    for _ in range(opened):
        channel, _ = operated.endpoint.connect()
        channel.dataReceived(begun)
    assert operated.endpoint.ask(begun).code == 503
    assert operated.endpoint.site.buffered <= MAX_HEADLESS_BUFFERED_BYTES


def test_who_only_asks_for_challenges_takes_no_catalogs_place(operated: Operated) -> None:
    """Connections that never brought a push are closed for others."""
    connections = [operated.endpoint.connect() for _ in range(MAX_CONNECTIONS)]
    for channel, transport in connections:
        channel.dataReceived(request(b"GET", b"/market", b""))
        assert transport.value()
    operated.endpoint.connect()
    assert any(transport.disconnecting or transport.aborting for _, transport in connections)


def test_it_is_not_there_unless_it_is_served() -> None:
    endpoint = InternalEndpoint(SECRET)
    assert endpoint.ask(request(b"GET", b"/market", b"")).code == 404
    assert endpoint.ask(request(b"POST", b"/market", b"{}")).code == 404


def test_a_change_of_the_members_is_begun(operated: Operated) -> None:
    body = b'{"operation": "remove-member", "member": 1, "based_on": 7}'
    answer = operated.operate(body)
    assert json.loads(answer.body) == {"data": {"index": 830}}
    assert operated.members == [(RemoveMember(1), 7)]
