"""A catalog says whose the entries are that it has cleared."""

from collections.abc import Mapping
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs

from tests.fakes.tracer import CLIENT, FakeTracer
from tests.unit.order.test_following import lines, orders
from twisted_bazaar.catalog.following import Following
from twisted_bazaar.consensus.entries import GENESIS, Entry
from twisted_bazaar.consensus.messages import Apply, ApplyReply
from twisted_bazaar.errors import NotOurs
from twisted_bazaar.tracing.followed import Followed

ANNA, BERT = Followed("anna"), Followed("bert")


class Told:
    """A catalog that answers when the test says so."""

    def __init__(self, tracer: FakeTracer | None = None) -> None:
        self.failure: Exception | None = None
        self.answers: list[Deferred[ApplyReply]] = []
        self._apply = Following(tracer, is_debugging=True).around(self._answer)

    def _answer(self, message: Apply) -> Deferred[ApplyReply]:
        if self.failure is not None:
            raise self.failure
        self.answers.append(Deferred())
        return self.answers[-1]

    def takes(
        self, *entries: Entry, followed: Mapping[int, Followed], proposed: int = 0, term: int = 1
    ) -> None:
        """The leader of `term` sends these, of which the last are only proposed."""
        committed = len(entries) - proposed
        fields: dict[str, Any] = {"rebuild": False, "history": "", "stamp": None, "lease": 0.0}
        message = Apply(
            term=term,
            previous_index=entries[0].index - 1,
            previous_digest=GENESIS,
            entries=entries[:committed],
            proposed=entries[committed:],
            commit=0,
            sent=0.0,
            **fields,
        )
        self._apply((message, followed))

    def clears(self, index: int, term: int = 1) -> list[str]:
        """It answers the oldest message; what it says."""
        reply = ApplyReply(
            term=term,
            applied=0,
            digest="",
            released=0,
            stamp=None,
            holds=True,
            sent=0.0,
            taken=index,
            cleared=index,
        )
        with capturedLogs() as events:
            self.answers.pop(0).callback(reply)
        return lines(events)


def test_what_is_cleared_is_said_once() -> None:
    log = orders(1, 1, 1)
    catalog = Told()
    catalog.takes(*log[:2], followed={1: ANNA, 2: BERT}, proposed=1)
    catalog.takes(*log[1:], followed={2: BERT, 3: ANNA}, proposed=1)
    assert catalog.clears(1) == ["cleared 1 anna"]
    assert catalog.clears(3) == ["cleared 2 bert", "cleared 3 anna"]


def test_what_a_new_leader_has_replaced_is_never_said() -> None:
    log = orders(1, 1)
    catalog = Told()
    catalog.takes(*log, followed={1: ANNA, 2: BERT}, proposed=1)
    assert catalog.clears(1) == ["cleared 1 anna"]
    catalog.takes(*orders(2, after=log[:1])[1:], followed={}, term=2)
    assert catalog.clears(2, term=2) == []


def test_a_leader_that_was_replaced_is_not_believed() -> None:
    catalog = Told()
    catalog.takes(*orders(1), followed={1: ANNA})
    assert catalog.clears(1, term=2) == []
    catalog.takes(*orders(2), followed={1: BERT}, term=2)
    assert catalog.clears(1, term=2) == ["cleared 1 bert"]


def test_a_span_lasts_until_it_is_cleared_or_refused() -> None:
    tracer = FakeTracer()
    catalog = Told(tracer)
    catalog.takes(*orders(1), followed={1: Followed("anna", CLIENT)})
    [span] = tracer.spans
    assert (span.parent, span.error) == (CLIENT, None)
    catalog.clears(1)
    assert span.error == ""
    catalog.failure = NotOurs("of another cluster")
    with pytest.raises(NotOurs):
        catalog.takes(*orders(2), followed={1: Followed("bert", CLIENT)}, term=2)
    assert tracer.spans[1].error
