"""What a catalog opens with: its file, the operator's listing, or the default one.

A listing counts until the market is open, which is when a leader has put it in the order log.
From then on it is ignored, and what it says otherwise than the market is worth one line.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from twisted.logger import Logger

from twisted_bazaar.errors import Unusable
from twisted_bazaar.market import DEFAULT_LISTING, Listing, Stock

from .market_file import Snapshot, load, read_listing
from .projection import Position
from .stock_names import shown

__all__ = ["Opening", "difference", "open_market"]

log = Logger()


class Opening(msgspec.Struct, frozen=True):
    """How a catalog begins."""

    snapshot: Snapshot
    """At index 0 it is a listing, which no order log need hold yet."""
    path: Path | None
    """Of the operator's listing; None: there is none."""
    listing: Sequence[Listing]
    """What the operator's listing says."""
    fault: str = ""
    """Why nobody can tell what it says. That is no harm once the market is open."""

    def opened(self, stocks: Mapping[str, Stock]) -> None:
        """Say it if the operator's listing is ignored, now that the market holds `stocks`."""
        if self.path is None:
            return
        if why := self.fault or difference(self.listing, stocks):
            log.warn(
                "--listing {path} is ignored, as the market is already open: {why}",
                path=self.path,
                why=why,
            )
        elif self.snapshot.position.index:
            log.info("--listing {path} is not needed: the market is open", path=self.path)


def open_market(path: Path, listing: Path | None) -> Opening:
    """How the catalog whose file is, or will be, at `path` is to begin. Only reads.

    Raises `Unusable`, with file and line, if the file makes no sense, or if the operator's
    listing does not while it still counts.
    """
    known = load(path) if path.exists() else None
    if known is not None and known.position.index:
        try:
            return Opening(known, listing, read_listing(listing) if listing else ())
        except Unusable as why:
            return Opening(known, listing, (), fault=str(why))
    if listing is None and known is not None:
        return Opening(known, None, ())
    wanted = read_listing(listing) if listing else DEFAULT_LISTING
    stocks = [Stock(each.name, each.price, each.quantity, 0, 0) for each in wanted]
    return Opening(Snapshot(stocks, Position(), 0), listing, wanted)


def difference(listing: Sequence[Listing], stocks: Mapping[str, Stock]) -> str | None:
    """Where a market that holds `stocks` was certainly not opened with `listing`.

    Of the quantity it is only known what the trades since leave possible.
    """
    for each in listing:
        stock = stocks.get(each.name)
        if stock is None:
            return f"{shown(each.name)} is not in the market"
        if each.price != stock.price:
            return f"the price of {shown(each.name)} is another in the market"
        moved = abs(each.quantity - stock.quantity)
        if moved > stock.volume or (moved - stock.volume) % 2:
            return f"the quantity of {shown(each.name)} is another in the market"
    others = stocks.keys() - {each.name for each in listing}
    return f"it lacks {shown(min(others))}, which is in the market" if others else None
