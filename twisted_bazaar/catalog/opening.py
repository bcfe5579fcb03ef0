"""What a catalog starts with: its file, the operator's listing, or the default listing.

A listing counts until a leader has put the stocks in the order log. From then on it is ignored, and
a difference between it and the market is logged once.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from twisted.logger import Logger

from twisted_bazaar.errors import Unusable
from twisted_bazaar.market import DEFAULT_LISTING, Listing, Stock
from twisted_bazaar.partitions import home
from twisted_bazaar.stock_names import shown

from .market_file import Snapshot, load, read_listing
from .projection import Position

__all__ = ["Opening", "check_partitions", "difference", "open_market"]

log = Logger()


class Opening(msgspec.Struct, frozen=True):
    """What a catalog starts with."""

    snapshot: Snapshot
    """At index 0 it is a listing, which may not be in the order log yet."""
    path: Path | None
    """The operator's listing; None: there is none."""
    listing: Sequence[Listing]
    """What that file lists."""
    of: str = ""
    """Which partition this is, for log lines; empty: there is one."""
    fault: str = ""
    """Why that file cannot be read, which does no harm once the market is open."""

    def opened(self, stocks: Mapping[str, Stock]) -> None:
        """Log whether the operator's listing is ignored, now that the market holds `stocks`."""
        if self.path is None:
            return
        if why := self.fault or difference(self.listing, stocks):
            log.warn(
                "--listing {file} is ignored, as the market{of} is already open: {why}",
                file=self.path,
                of=self.of,
                why=why,
            )
        elif self.snapshot.position.index:
            log.info(
                "--listing {file} is not needed: the market{of} is open", file=self.path, of=self.of
            )


def open_market(path: Path, listing: Path | None, place: tuple[int, int] = (0, 1)) -> Opening:
    """What the catalog with the file at `path`, which may not exist yet, starts with. Reads only.
    `place`: the partition whose stocks these are, of how many. Those of a listing that are at home
    in another do not count.

    Raises `Unusable`, naming file and line, if that file is damaged, or the operator's listing is
    while it counts.
    """
    partition, partitions = place
    of = f" of partition {partition}" if partitions > 1 else ""

    def at_home(listed: Sequence[Listing]) -> Sequence[Listing]:
        return [each for each in listed if home(each.name, partitions) == partition]

    known = load(path) if path.exists() else None
    if known is not None and known.position.index:
        try:
            return Opening(known, listing, at_home(read_listing(listing)) if listing else (), of)
        except Unusable as why:
            return Opening(known, listing, (), of, fault=str(why))
    if listing is None and known is not None:
        return Opening(known, None, ())
    wanted = at_home(read_listing(listing) if listing else DEFAULT_LISTING)
    stocks = [Stock(each.name, each.price, each.quantity, 0, 0) for each in wanted]
    return Opening(Snapshot(stocks, Position(), 0), listing, wanted, of)


def check_partitions(paths: Sequence[Path], partitions: int) -> None:
    """Raises `Unusable` if the files of a catalog, those of `paths` that exist, are of a bazaar
    with another number of partitions.

    All are there before any of them is of an open market.
    """
    present = [path for path in paths if path.exists()]
    fewer = 0 < len(present) < partitions and any(load(path).position.index for path in present)
    if len(present) > partitions or fewer:
        raise Unusable(
            f"--partitions: {present[0].parent} is a catalog of {len(present)}, not {partitions}"
        )


def difference(listing: Sequence[Listing], stocks: Mapping[str, Stock]) -> str | None:
    """Why a market that holds `stocks` cannot have been opened with `listing`; None: it may have.

    A quantity is judged by what the volume traded since allows.
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
