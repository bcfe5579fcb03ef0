"""What an order replica knows of trades that are followed: whose they are, for its log and for
spans. Made only where the log is at level debug, or traces are exported.

The leader is told with a trade whose it is, and tells its followers and the catalogs with the
entry; so each that leads later knows as well. An entry is known by its index and term: one that is
sent again is told again, and one that was truncated is told no more.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, Self

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_bazaar.consensus.entries import Entry
from twisted_bazaar.consensus.member import Observed
from twisted_bazaar.consensus.messages import Append, AppendReply, Apply, PeerReply, PeerRequest
from twisted_bazaar.errors import BazaarError, KeyReused, Rejected
from twisted_bazaar.market import Placed, Traded
from twisted_bazaar.rpc.bazaar.v1.following_pb2 import Followed as Wire
from twisted_bazaar.rpc.bazaar.v1.order_pb2 import TradeRequest
from twisted_bazaar.rpc.following import (
    encode_followed,
    followed_from_metadata,
    followed_from_wire,
)
from twisted_bazaar.rpc.frames.exchanges import encode, encodes_at_once
from twisted_bazaar.rpc.serving.context import Context
from twisted_bazaar.tracing.followed import Followed, FollowedEntries, FollowedEntry
from twisted_bazaar.tracing.lines import say, say_of_entry
from twisted_bazaar.tracing.spans import Kind, Span, Tracer, Value

from .desk import Batch, Known, Outcome, TradingDesk

__all__ = ["FollowedTrades", "Following", "FollowingDesk"]

_ON_DISK, _RELEASED = "on disk", "released"
_REFUSALS = Rejected, KeyReused


class _Log(Protocol):
    @property
    def last_index(self) -> int: ...

    def term_at(self, index: int) -> int: ...


class _Member(Protocol):
    """A `Replica` or a `Tenure`."""

    @property
    def term(self) -> int: ...

    @property
    def log(self) -> _Log: ...


class FollowedTrades:
    """The trades of one call that are followed, until it is answered."""

    def __init__(
        self,
        followed: Mapping[int, Followed],
        spans: Mapping[int, Span],
        say_answer: Callable[[Followed, Outcome], None] | None,
    ) -> None:
        self.by_position = followed
        """Their contexts are within this replica's spans."""
        self._spans = spans
        """By position."""
        self._say_answer = say_answer

    def answered(self, outcomes: Sequence[Outcome]) -> None:
        """The call is answered with these outcomes of all of its trades."""
        if self._say_answer is not None:
            for position, followed in self.by_position.items():
                self._say_answer(followed, outcomes[position])
        for position, span in self._spans.items():
            outcome = outcomes[position]
            if isinstance(outcome, Placed):
                span.set({"bazaar.order.number": outcome.number})
            # What the market refuses is no failure of the bazaar.
            failed = isinstance(outcome, BazaarError) and not isinstance(outcome, _REFUSALS)
            span.end(str(outcome) if failed else "")

    def over(self) -> None:
        """The call has ended, with an answer or without."""
        for span in self._spans.values():
            span.end("there was no answer")


class Following:
    """What one replica, or member, knows of the trades that are followed."""

    log = Logger()

    def __init__(self, member: _Member, tracer: Tracer | None, is_debugging: bool) -> None:
        """`is_debugging`: the log shows lines of level debug."""
        self._member = member
        self._tracer = tracer
        self._is_debugging = is_debugging
        self._entries = FollowedEntries(_ON_DISK, _RELEASED)

    @classmethod
    def of(cls, member: _Member, tracer: Tracer | None, is_debugging: bool) -> Self | None:
        """None: nothing is followed in this process."""
        return cls(member, tracer, is_debugging) if is_debugging or tracer is not None else None

    # While this replica leads.

    def came(self, wire: Iterable[Wire], trades: int) -> FollowedTrades:
        """A call came, with so many trades, of which these are followed."""
        followed, spans = {}, {}
        for position, each in followed_from_wire(wire).items():
            if not 0 <= position < trades:
                continue
            span = self._begin("Orders.Trade", each, {"bazaar.batch.trades": trades})
            if span is not None:
                spans[position] = span
                each = Followed(each.request_id, span.context)
            followed[position] = each
        return FollowedTrades(followed, spans, self._answered if self._is_debugging else None)

    def of_call(self, request: TradeRequest, context: Context) -> FollowedTrades | None:
        """The trades of a call that are followed, until it has ended; None: none are."""
        if not request.followed:
            return None
        followed = self.came(request.followed, len(request.trades))
        context.add_callback(followed.over)
        return followed

    def decided(self, batch: Batch, entries: Iterable[Entry]) -> None:
        """Trades of `batch` have become these entries."""
        by_key = {entry.event.key: entry for entry in entries if isinstance(entry.event, Traded)}
        for position, followed in batch.followed.items():
            entry = by_key.get(batch.trades[position].key)
            if entry is not None and (new := self._entries.remember(entry, followed)):
                self._say("decided", new)

    def released(self, index: int, leads: bool) -> None:
        """Entries up to `index` are released. `leads`: this replica leads."""
        for each in self._entries.take_open(_RELEASED, index):
            if leads and self._is_in_log(each):
                self._say("released", each)
        if leads:
            # A leader says this of them; to say later that they are on disk would be no news.
            self._entries.take_open(_ON_DISK, index)

    def encode(self, message: Any) -> bytes:
        """The body that carries `message`, and whose its entries are."""
        body = encode(message)
        if isinstance(message, Append | Apply) and encodes_at_once(message):
            proposed = message.proposed if isinstance(message, Apply) else ()
            known = self._entries.among((*message.entries, *proposed))
            body += encode_followed(message, ((each.index, each.followed) for each in known))
        return body

    # While it follows.

    def around(
        self, step: Callable[[PeerRequest], Deferred[PeerReply]]
    ) -> Callable[[tuple[PeerRequest, Mapping[int, Followed]]], Deferred[PeerReply]]:
        """`step`, for a request that came with whose its entries are."""

        def ask(came: tuple[PeerRequest, Mapping[int, Followed]]) -> Deferred[PeerReply]:
            message, followed = came
            if not isinstance(message, Append) or message.term < self._member.term:
                return step(message)
            taken = self._take(message, followed)
            asked = (message, taken)
            return step(message).addCallbacks(self._stepped, self._failed, asked, {}, asked)

        return ask

    def _take(self, message: Append, followed: Mapping[int, Followed]) -> list[FollowedEntry]:
        self._entries.supersede(message.entries)
        taken = []
        for entry in message.entries if followed else ():
            whose = followed.get(entry.index)
            if whose is not None and (new := self._entries.remember(entry, whose)):
                new.span = self._begin("Replication.Append", whose, new.attributes)
                taken.append(new)
        return taken

    def _stepped(self, reply: PeerReply, message: Append, taken: list[FollowedEntry]) -> PeerReply:
        assert isinstance(reply, AppendReply)
        if not reply.fits or reply.term != message.term:
            self._entries.forget(taken)
            return reply
        for each in self._entries.take_open(_ON_DISK, reply.index):
            if each.span is not None:
                each.span.end()
            if self._is_in_log(each):
                self._say("on disk", each)
        return reply

    def _failed(self, failure: Failure, _: Append, taken: list[FollowedEntry]) -> Failure:
        self._entries.forget(taken)
        return failure

    # Reads.

    def read(self, what: str, followed: Followed) -> Span | None:
        """A front-end reads orders, for a client whose request is followed. The span is to be
        ended; None: there is none."""
        if self._is_debugging and followed.request_id:
            say(self.log, f"{what} is asked", followed)
        return self._begin(what, followed, {}) if followed.context is not None else None

    def read_by_call(self, what: str, context: Context) -> None:
        """As `read`, of a call, whose span ends with it."""
        span = self.read(what, followed_from_metadata(context.invocation_metadata()))
        if span is not None:
            context.add_callback(span.end)

    def _begin(self, name: str, followed: Followed, attributes: Mapping[str, Value]) -> Span | None:
        if self._tracer is None or followed.context is None:
            return None
        return self._tracer.begin(name, Kind.SERVER, followed.context, attributes)

    def _is_in_log(self, each: FollowedEntry) -> bool:
        log = self._member.log
        return each.index <= log.last_index and log.term_at(each.index) == each.term

    def _say(self, what: str, each: FollowedEntry) -> None:
        if self._is_debugging:
            say_of_entry(self.log, what, each)

    def _answered(self, followed: Followed, outcome: Outcome) -> None:
        if isinstance(outcome, Placed):
            again = ", which was there before" if outcome.replayed else ""
            say(self.log, f"answered: order {{number}}{again}", followed, number=outcome.number)
        else:
            why = str(outcome) if isinstance(outcome, BazaarError) else "judged only"
            if isinstance(outcome, KeyReused):
                # Its text has the key, which the log must not.
                why = "the key belongs to another trade"
            say(self.log, "answered: {why}", followed, why=why)


class FollowingDesk(TradingDesk):
    """A desk that tells `following` what becomes of trades."""

    def __init__(self, *args: Any, following: Following, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._following = following

    def decide(self, batch: Batch, known: Known, now: float) -> bool:
        before = self._member.log.last_index
        decided = super().decide(batch, known, now)
        if batch.followed:
            self._following.decided(batch, self._entries_after(before))
        return decided

    def _entries_after(self, index: int) -> Iterator[Entry]:
        log = self._member.log
        while index < log.last_index:
            entries = log.entries(index, log.last_index)
            yield from entries
            index = entries[-1].index

    def observe(self, ready: Observed) -> None:
        super().observe(ready)
        self._following.released(ready.released, bool(ready.leading_term))
