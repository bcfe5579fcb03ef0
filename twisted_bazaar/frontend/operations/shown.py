"""Shows the partitions to operators: who leads each, and which stocks are in it."""

from collections.abc import Callable, Sequence

import msgspec
from twisted.internet.defer import Deferred, gatherResults
from twisted.python.failure import Failure

from twisted_bazaar.consensus.messages import StockPlacement
from twisted_bazaar.errors import BazaarError
from twisted_bazaar.frontend.election.leadership import Leadership
from twisted_bazaar.frontend.lookups.service import LookupService
from twisted_bazaar.frontend.lookups.whole_market import MarketSnapshot
from twisted_bazaar.frontend.overview.parts import last_number, leader_index
from twisted_bazaar.frontend.partitions.numbers import shown_last
from twisted_bazaar.http import answers

__all__ = ["PartitionsShown"]


class _Shown(msgspec.Struct):
    partition: int
    leader: int
    term: int
    preferred: int
    last_number: int
    """As clients see it; 0: there is no order."""
    last_index: int
    stocks: Sequence[str] | None
    """None: no catalog answers for the partition."""


class PartitionsShown:
    """The partitions, as of the last pings and as catalogs show their stocks."""

    def __init__(
        self,
        leaderships: Sequence[Leadership],
        lookups: Sequence[LookupService],
        moved: Callable[[], Sequence[StockPlacement]],
    ) -> None:
        """`leaderships` and `lookups` are those of the partitions, by number."""
        self._leaderships = leaderships
        self._lookups = lookups
        self._moved = moved

    def body(self) -> Deferred[bytes]:
        """The body that shows all. Never fails."""
        asked = [each.look_up_all().addCallbacks(_names, _none) for each in self._lookups]
        return gatherResults(asked).addCallback(self._shown)

    def _shown(self, stocks: Sequence[Sequence[str] | None]) -> bytes:
        partitions = [
            _Shown(
                partition=number,
                leader=leadership.leader,
                term=leadership.term,
                preferred=leadership.preferred,
                last_number=shown_last(last_number(leadership.statuses), number, len(stocks)),
                last_index=leader_index(leadership.statuses, leadership.leader),
                stocks=stocks[number],
            )
            for number, leadership in enumerate(self._leaderships)
        ]
        return answers.success({"partitions": partitions, "moved": self._moved()})


def _names(market: MarketSnapshot) -> Sequence[str] | None:
    return list(market.shown)


def _none(failure: Failure) -> Sequence[str] | None:
    failure.trap(BazaarError)
    return None
