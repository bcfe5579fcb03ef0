"""Answers `/market` on the internal endpoint: challenges, and market operations.

    GET /market   {"data": {"challenge": "…"}}
    POST /market  {"data": {"index": 830}}, the entry that holds the change; null: it was so already
                  {"data": {"entries": [{"partition": 0, "index": 830}]}} of several partitions

Every operation that changes the market is a line in the log, and so is one with a wrong signature,
at a bounded rate.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import NOT_DONE_YET

from twisted_bazaar.consensus.membership import MembersChange
from twisted_bazaar.errors import (
    ChangeRefused,
    MembersRefused,
    NotAuthorised,
    NotExecuted,
    OutcomeUnknown,
)
from twisted_bazaar.http import answers
from twisted_bazaar.http.refusals import Reason, Refusal, later, refusal_of
from twisted_bazaar.http.site import BazaarRequest
from twisted_bazaar.market import Change, ChangeRefusal
from twisted_bazaar.runtime.seldom import Seldom

from .challenges import CHALLENGE_HEADER, SIGNATURE_HEADER, Challenges
from .requests import ChangeMembers, Lead, Show, decode_operation

__all__ = ["MarketOperations", "Operations"]


_REFUSED = {
    ChangeRefusal.UNKNOWN_STOCK: Reason.UNKNOWN_STOCK,
    ChangeRefusal.LISTED_ALREADY: Reason.LISTED_ALREADY,
    ChangeRefusal.INVALID: Reason.INVALID_FIELD,
    ChangeRefusal.TOO_MANY_STOCKS: Reason.TOO_MANY_STOCKS,
}
_ALLOWED = Refusal(
    Reason.METHOD_NOT_ALLOWED, "only GET, POST can be done here", {b"Allow": b"GET, POST"}
)


class Operations(Protocol):
    """Changes the market: `OperationService`, or `OperationRouter`."""

    def change(self, change: Change, /) -> Deferred[int] | Deferred[Mapping[int, int]]:
        """Fires with the index of the entry, or 0; of several partitions, with those that have one,
        by partition."""

    def hand_over(self, partition: int, member: int, /) -> Deferred[None]: ...

    def change_members(self, change: MembersChange, based_on: int | None, /) -> Deferred[int]:
        """Fires with the index of the entry that begins it, or 0."""


class MarketOperations:
    """What is served at `/market`. `seconds` is a clock that only goes forward."""

    log = Logger()

    def __init__(
        self,
        challenges: Challenges,
        operations: Operations,
        shown: Mapping[Show, Callable[[], Deferred[bytes]]],
        seconds: Callable[[], float],
    ) -> None:
        """`shown` return the bodies that show the market, the partitions and the members."""
        self._challenges = challenges
        self._operations = operations
        self._shown = shown
        self._seconds = seconds
        self._refusals = Seldom()

    def render(self, request: BazaarRequest) -> int:
        """Answer `request`, at once or later."""
        if request.method == b"GET":
            challenge = self._challenges.make(self._seconds())
            request.respond(answers.success({"challenge": challenge}))
        elif request.method == b"POST":
            answer = maybeDeferred(self._operate, request)
            answer.addErrback(self._refused, request).addCallback(request.respond)
            answer.addErrback(request.processingFailed)
        else:
            request.answer(_ALLOWED)
        return NOT_DONE_YET

    def _operate(self, request: BazaarRequest) -> Deferred[bytes]:
        body = request.content.getvalue()
        challenge = _only(request, CHALLENGE_HEADER).decode("latin-1")
        self._challenges.take(challenge, body, _only(request, SIGNATURE_HEADER), self._seconds())
        operation = decode_operation(body)
        if isinstance(operation, Show):
            return self._shown[operation]()
        if isinstance(operation, Lead):
            told = self._operations.hand_over(operation.partition, operation.member)
            return told.addCallback(self._told, operation)
        if isinstance(operation, ChangeMembers):
            begun = self._operations.change_members(operation.change, operation.based_on)
            return begun.addCallback(self._members_changed, operation.change)
        changed: Deferred[Any] = self._operations.change(operation)
        return changed.addCallback(self._changed, operation)

    def _changed(self, made: int | Mapping[int, int], change: Change) -> bytes:
        if isinstance(made, int):
            if made:
                self.log.info("entry {index}: {change}", index=made, change=_line(change))
            return answers.success({"index": made or None})
        for partition, index in made.items():
            self.log.info(
                "entry {index} of partition {partition}: {change}",
                index=index,
                partition=partition,
                change=_line(change),
            )
        entries = [{"partition": partition, "index": index} for partition, index in made.items()]
        return answers.success({"entries": entries})

    def _members_changed(self, index: int, change: MembersChange) -> bytes:
        if index:
            self.log.info("entry {index}: {change}", index=index, change=change)
        return answers.success({"index": index or None})

    def _told(self, _: None, lead: Lead) -> bytes:
        self.log.info(
            "partition {partition} is to be led by {member}",
            partition=lead.partition,
            member=f"replica {lead.member}" if lead.member else "the usual replica",
        )
        return answers.success({"partition": lead.partition, "member": lead.member or None})

    def _refused(self, failure: Failure, request: BazaarRequest) -> bytes:
        error = failure.value
        match error:
            case NotAuthorised():
                self._warn(str(error))
                refusal = Refusal(Reason.NOT_SIGNED, f"the operation is refused: {error}")
            case ChangeRefused():
                refusal = Refusal(_REFUSED[error.refusal], str(error))
            case MembersRefused():
                reason = Reason.INVALID_FIELD if error.is_final else Reason.MEMBERS_REFUSED
                refusal = Refusal(reason, f"the replicas stay as they are: {error}")
            case NotExecuted():
                refusal = later(Reason.NOT_EXECUTED, f"nothing was changed: {error}")
            case OutcomeUnknown():
                message = f"it is unknown whether it was done: {error}; to repeat is safe"
                refusal = later(Reason.OUTCOME_UNKNOWN, message)
            case _:
                refusal = refusal_of(error) or request.report(failure)
        return request.refuse(refusal)

    def _warn(self, why: str) -> None:
        if self._refusals.held_back(self._seconds()) is not None:
            self.log.warn("a market operation is refused: {why}", why=why)


def _only(request: BazaarRequest, name: bytes) -> bytes:
    """The one header of this name; empty: there is none, or more than one."""
    values = request.requestHeaders.getRawHeaders(name, [])
    return values[0] if len(values) == 1 else b""


def _line(change: Change) -> str:
    """`change` as one line of the log, cut short."""
    return f"{change!r:.300}"
