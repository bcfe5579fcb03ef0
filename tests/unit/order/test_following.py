"""A replica knows whose the entries are that it sends and takes, as long as that is true."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import capturedLogs, formatEvent

from tests.fakes.leaks import nothing_leaks  # noqa: F401
from tests.fakes.member import Member, append, disk
from tests.fakes.replicas import result_of
from tests.fakes.tracer import CLIENT, FakeTracer
from twisted_bazaar.consensus.entries import GENESIS, Entry, encode_entry
from twisted_bazaar.consensus.messages import Append, Apply
from twisted_bazaar.errors import KeyReused, OutcomeUnknown, Rejected, Unavailable
from twisted_bazaar.market import Judged, Placed, Rejection, Side, Trade, Traded
from twisted_bazaar.order.desk import Batch
from twisted_bazaar.order.following import Following
from twisted_bazaar.rpc.bazaar.v1 import catalog_pb2, replication_pb2
from twisted_bazaar.rpc.following import followed_to_wire
from twisted_bazaar.rpc.frames.exchanges import decode, decode_followed, encode
from twisted_bazaar.tracing.followed import Followed

ANNA, BERT = Followed("anna"), Followed("bert")


def orders(*terms: int, after: Sequence[Entry] = ()) -> list[Entry]:
    """Orders of these terms, which follow the entries `after`."""
    entries = list(after)
    for term in terms:
        digest = entries[-1].digest if entries else GENESIS
        number = len(entries) + 1
        order = Traded(number, f"key-{number}", "GameStart", Side.BUY, 1)
        entries.append(encode_entry(digest, number, term, 0, order))
    return entries


class Told:
    """Replica 1 of three, and what it says."""

    def __init__(self, *log: Entry, tracer: FakeTracer | None = None, term: int = 1) -> None:
        self.member = Member(1, (2, 3), storage=disk(term, 0, log))
        self.following = Following(self.member.replica, tracer, is_debugging=True)
        self.failure: Exception | None = None
        self._ask = self.following.around(self._step)

    def _step(self, message: Any) -> Deferred[Any]:
        return succeed(self.member.ask(message)) if self.failure is None else fail(self.failure)

    def decides(self, entries: Sequence[Entry], followed: Mapping[int, Followed]) -> list[str]:
        """It leads, and these trades become these entries."""
        trades = [Trade(f"key-{entry.index}", "GameStart", Side.BUY, 1) for entry in entries]
        with capturedLogs() as events:
            self.following.decided(Batch(trades, followed=followed), entries)
        return lines(events)

    def takes(self, message: Append, followed: Mapping[int, Followed]) -> list[str]:
        """A leader sends it that; what it says."""
        with capturedLogs() as events:
            assert result_of(self._ask((message, followed)))
        return lines(events)

    def releases(self, index: int, leads: bool = True) -> list[str]:
        with capturedLogs() as events:
            self.following.released(index, leads)
        return lines(events)

    def passes_on(self, message: Append) -> Mapping[int, Followed]:
        """Whose the entries are, as the process says to which it sends `message`."""
        return told(self.following.encode(message))


def told(body: bytes) -> Mapping[int, Followed]:
    _, followed = decode_followed(body, replication_pb2.AppendRequest, Append)
    known: Mapping[int, Followed] = followed
    return known


def lines(events: Sequence[Any]) -> list[str]:
    return [
        f"{event['log_format'].partition(':')[0]} {event['index']} {event['request_id']}"
        for event in events
        if "index" in event
    ]


def test_what_the_leader_decides_is_told_with_each_sending() -> None:
    log = orders(1, 1, 1)
    replica = Told(*log)
    assert replica.decides(log[1:], {0: ANNA, 1: BERT}) == ["decided 2 anna", "decided 3 bert"]
    assert replica.passes_on(append(1, log)) == {2: ANNA, 3: BERT}
    # Again, to one that had it before, and a part of it to another.
    assert replica.passes_on(append(1, log)) == {2: ANNA, 3: BERT}
    assert replica.passes_on(append(1, log, after=2)) == {3: BERT}


def test_a_catalog_is_told_of_what_is_committed_and_of_what_is_proposed() -> None:
    log = orders(1, 1)
    replica = Told(*log)
    replica.decides(log, {0: ANNA, 1: BERT})
    message = Apply(
        term=1,
        previous_index=0,
        previous_digest=GENESIS,
        entries=(log[0],),
        commit=1,
        rebuild=False,
        history="",
        stamp=None,
        lease=0.0,
        sent=0.0,
        proposed=(log[1],),
    )
    body = replica.following.encode(message)
    assert decode_followed(body, catalog_pb2.ApplyRequest, Apply) == (message, {1: ANNA, 2: BERT})


def test_trades_that_are_not_followed_cost_no_byte() -> None:
    log = orders(1)
    replica = Told(*log)
    replica.decides(log, {})
    assert replica.following.encode(append(1, log)) == encode(append(1, log))
    assert replica.following.encode(append(1)) == encode(append(1))


def test_an_earlier_release_ignores_whose_entries_are_and_a_later_field_is_ignored() -> None:
    log = orders(1)
    replica = Told(*log)
    replica.decides(log, {0: ANNA})
    body = replica.following.encode(append(1, log))
    unknown = replication_pb2.AppendRequest.FromString(body)
    assert decode(body, replication_pb2.AppendRequest, Append) == append(1, log)
    # Field 100, of which this release knows as little as that one of field 13.
    later = body + b"\xa2\x06\x05later"
    assert decode_followed(later, replication_pb2.AppendRequest, Append)[1] == {1: ANNA}
    assert unknown.followed


def test_a_follower_says_what_is_on_disk_once_and_tells_others_when_it_leads() -> None:
    log = orders(1, 1)
    replica = Told()
    assert replica.takes(append(1, log, upto=1), {1: ANNA}) == ["on disk 1 anna"]
    assert replica.takes(append(1, log), {1: ANNA, 2: BERT}) == ["on disk 2 bert"]
    assert replica.takes(append(1, log, after=2), {}) == []
    assert replica.passes_on(append(2, log)) == {1: ANNA, 2: BERT}
    assert replica.releases(2) == ["released 1 anna", "released 2 bert"]
    assert replica.releases(2) == []


def test_of_what_it_released_a_leader_does_not_say_later_that_it_is_on_disk() -> None:
    log = orders(1, 1)
    replica = Told(*log)
    replica.decides(log, {0: ANNA, 1: BERT})
    assert replica.releases(1) == ["released 1 anna"]
    new = orders(2, after=log)
    assert replica.takes(append(2, new, after=2), {3: ANNA}) == ["on disk 2 bert", "on disk 3 anna"]


def test_a_follower_says_nothing_of_a_release() -> None:
    log = orders(1)
    replica = Told()
    replica.takes(append(1, log), {1: ANNA})
    assert replica.releases(1, leads=False) == []


def test_what_is_truncated_is_told_no_more() -> None:
    """The entry in its place is another one's."""
    old = orders(1, 1)
    replica = Told(*old)
    replica.decides(old, {0: ANNA, 1: BERT})
    new = orders(2, 2, after=old[:1])
    assert replica.takes(append(2, new, after=1), {3: ANNA}) == ["on disk 1 anna", "on disk 3 anna"]
    assert replica.passes_on(append(2, new)) == {1: ANNA, 3: ANNA}
    assert replica.releases(3) == ["released 1 anna", "released 3 anna"]


def test_a_leader_that_was_replaced_is_not_believed() -> None:
    mine = orders(2)
    replica = Told(*mine, term=2)
    replica.decides(mine, {0: ANNA})
    assert replica.takes(append(1, orders(1)), {1: BERT}) == []
    assert replica.passes_on(append(2, mine)) == {1: ANNA}


@pytest.mark.parametrize("refused", [True, False])
def test_what_is_not_taken_is_forgotten(refused: bool) -> None:
    tracer = FakeTracer()
    replica = Told(*orders(1), tracer=tracer)
    traced = Followed("bert", CLIENT)
    if refused:
        replica.takes(append(1, orders(1, 1, 1), after=2), {3: traced})
    else:
        replica.failure = Unavailable("it stops")
        assert replica.takes(append(1, orders(1, 1)), {2: traced}) == []
    assert replica.passes_on(append(1, orders(1, 1, 1))) == {}
    [span] = tracer.spans
    assert span.error


def test_spans_are_within_the_leaders_which_are_within_the_clients() -> None:
    log = orders(1)
    tracer, other = FakeTracer(), FakeTracer()
    leader, follower = Told(*log, tracer=tracer), Told(tracer=other)
    trades = leader.following.came(followed_to_wire([(0, Followed("anna", CLIENT))]), 1)
    leader.decides(log, trades.by_position)
    known = leader.passes_on(append(1, log))
    follower.takes(append(1, log), known)
    [of_leader], [of_follower] = tracer.spans, other.spans
    assert of_leader.parent == CLIENT
    assert of_follower.parent == of_leader.context
    assert of_follower.attributes["bazaar.order.number"] == 1
    assert (of_leader.error, of_follower.error) == (None, "")
    trades.over()
    assert of_leader.error == "there was no answer"


def test_a_span_says_what_became_of_its_trade() -> None:
    tracer = FakeTracer()
    told = [(at, Followed("anna", CLIENT)) for at in range(4)]
    trades = Told(tracer=tracer).following.came(followed_to_wire(told), 5)
    refused, lost = Rejected(Rejection.HALTED), OutcomeUnknown("the leader changed")
    placed = Placed(7, replayed=False, price=1)
    trades.answered([refused, placed, lost, Judged(1), placed])
    trades.over()
    assert [span.error for span in tracer.spans] == ["", "", "the leader changed", ""]
    numbers = [span.attributes.get("bazaar.order.number") for span in tracer.spans]
    assert numbers == [None, 7, None, None]


def test_positions_beyond_the_trades_of_a_call_count_as_absent() -> None:
    wire = followed_to_wire([(0, ANNA), (1, BERT), (-1, BERT), (7, BERT)])
    assert Told().following.came(wire, 1).by_position == {0: ANNA}


def test_the_key_of_a_trade_is_in_no_line() -> None:
    trades = Told().following.came(followed_to_wire([(0, ANNA)]), 1)
    with capturedLogs() as events:
        trades.answered([KeyReused("key a-secret belongs to order 7, another trade")])
    [line] = map(formatEvent, events)
    assert line == "answered: the key belongs to another trade (request anna)"
    assert "a-secret" not in repr(events)
