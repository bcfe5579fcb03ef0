"""The market for a catalog that lacks entries which the leader's log does not hold. Pure."""

from typing import Protocol

from twisted_bazaar.consensus.entries import GENESIS
from twisted_bazaar.consensus.log import Log
from twisted_bazaar.consensus.messages import MarketSnapshot
from twisted_bazaar.ledger import Ledger

__all__ = ["whole_market"]


class _Desk(Protocol):
    @property
    def applied(self) -> int: ...
    @property
    def ledger(self) -> Ledger: ...


def whole_market(desk: _Desk, log: Log) -> MarketSnapshot:
    """The market after the last entry that `desk` has applied, which is committed."""
    digest = log.digest_at(desk.applied)
    if not digest:
        # The index is being made anew: the catalog begins with nothing, and has it all soon.
        return MarketSnapshot(index=0, digest=GENESIS, stocks=(), last_number=0, listed=False)
    stocks = tuple(desk.ledger.stocks.values())
    return MarketSnapshot(
        index=desk.applied,
        digest=digest,
        stocks=stocks,
        last_number=desk.ledger.last_number,
        listed=bool(stocks),
    )
