"""What a member knows of one partition: whether it leads, what is released, and where stocks are.

The part of `PartitionNode` that is asked.
"""

from collections.abc import Callable, Collection, Sequence

from twisted.application.service import Service
from twisted.internet.defer import Deferred

from twisted_bazaar.consensus.entries import Entry
from twisted_bazaar.consensus.identity import not_meant
from twisted_bazaar.consensus.messages import MarketSnapshot, PartitionStatus, StockPlacement
from twisted_bazaar.engine.shared_log import Released, Tail
from twisted_bazaar.engine.tenure import Tenure
from twisted_bazaar.errors import BazaarError, NotLeader, OutcomeUnknown
from twisted_bazaar.order.watches import Watches
from twisted_bazaar.sending import Sending

from .lead import Lead
from .pages import Readable

__all__ = ["PartitionView"]


class PartitionView(Service):
    """One partition, as this member sees it. On the reactor's thread. `seconds` is a clock that
    only goes forward."""

    def __init__(
        self,
        seconds: Callable[[], float],
        partition: int,
        make_tenure: Callable[[Callable[[], MarketSnapshot]], Tenure],
    ) -> None:
        """`make_tenure` is given what returns the market after what this leader has committed."""
        self._seconds = seconds
        self.partition = partition
        self.tenure = make_tenure(self._market)
        self._lead: Lead | None = None
        """None: this member does not lead."""
        self._wanted: tuple[int, int] | None = None
        """The member that this one, in that term, has written is to lead; None: the engine shows
        it."""
        self._led_term = 0
        """That in which this member led last; 0: it never did."""

    @property
    def decides(self) -> bool:
        """Whether this member leads, as far as it knows, and does not leave."""
        return self._lead is not None and not self.tenure.leaving

    @property
    def watches(self) -> Watches | None:
        """Front-ends that wait for something to be released; None: this member does not lead."""
        return None if self._lead is None else self._lead.watches

    def end_watches(self) -> None:
        """No front-end waits for news from now on."""
        if self._lead is not None:
            self._lead.watches.stop()

    @property
    def waiting_watches(self) -> int:
        """How many calls wait for news."""
        return 0 if self._lead is None else len(self._lead.watches)

    @property
    def released(self) -> Released:
        """How far clients may see, as far as this member knows."""
        tail = self.tenure.tail
        seen = Released() if tail is None else tail.released
        if self._lead is None:
            return seen
        desk = self._lead.desk
        return max(seen, Released(index=desk.released, number=desk.released_number), key=_number)

    @property
    def known_number(self) -> int:
        """The last order that this member knows to be committed, or has seen in the engine."""
        if self._lead is not None:
            return self._lead.desk.ledger.last_number
        return 0 if self.tenure.tail is None else self.tenure.tail.last_number

    def status(self) -> PartitionStatus:
        """How this member sees the partition."""
        tenure, tail = self.tenure, self.tenure.tail or Tail(partition=self.partition)
        index, digest = tail.index, tail.digest
        if self._lead is not None:
            index = self._lead.desk.applied
            digest = tenure.log.digest_at(index)
        return PartitionStatus(
            partition=self.partition,
            role=tenure.role.value,
            term=tenure.term,
            leader=tenure.known_leader(self._seconds()),
            last_index=index,
            last_number=self.known_number,
            digest=digest,
            cluster=tenure.cluster,
            preferred=tail.preferred if self._wanted is None else self._wanted[0],
        )

    def placements(self) -> Sequence[StockPlacement]:
        """Where stocks are that this leader has moved away, as far as the engine did not say so."""
        return () if self._lead is None else self._lead.moves.unseen()

    def not_meant(self, to: int, cluster: str) -> str | None:
        """Why a front-end's request for member `to` of `cluster` is not for this one; None: it is,
        or this one does not know its bazaar yet."""
        own = self.tenure.cluster
        return not_meant(self.tenure.id, own, to, cluster if own else "")

    def _led(self) -> Lead:
        """Raises `NotLeader`, also of a leader that leaves: nothing more is to be decided."""
        if self._lead is None or self.tenure.leaving:
            raise NotLeader()
        return self._lead

    def _market(self) -> MarketSnapshot:
        """The market after what this leader has committed."""
        assert self._lead is not None
        desk = self._lead.desk
        return MarketSnapshot(
            index=desk.applied,
            digest=self.tenure.log.digest_at(desk.applied),
            stocks=tuple(desk.ledger.stocks.values()),
            last_number=desk.ledger.last_number,
            listed=self._lead.listed,
        )

    def knows_places(self, stocks: Collection[str]) -> bool:
        """Whether it is known where those of `stocks` are that have left, so that a front-end can
        be told."""
        return self._lead is None or self._lead.moves.knows(stocks)

    def readable(self, last_number: Callable[[], Deferred[int]]) -> Readable:
        """What is known of the partition's orders. `last_number` is `ask_last_number`."""
        return Readable(self._released, last_number, self._recent, self.has_led_to)

    def _released(self) -> Released:
        return self.released

    def _recent(self) -> Sequence[Entry]:
        return () if self._lead is None else self._lead.recent()

    def has_led_to(self, index: int, digest: str) -> bool:
        """Whether `digest` names the history up to `index` in the log that this member leads."""
        return self.tenure.log.digest_at(index) == digest

    def _not_decided(self, sending: Sending) -> BazaarError:
        """What becomes of what came with `sending` at a member that decides nothing. Of its last
        leadership, a copy of the sending may have been taken."""
        if sending.term and sending.term == self._led_term:
            return OutcomeUnknown("a copy of this sending may have come while this member led")
        return NotLeader()


def _number(released: Released) -> int:
    return released.number
