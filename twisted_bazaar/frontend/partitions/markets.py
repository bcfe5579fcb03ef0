"""The whole market, put together of those of all partitions. Pure."""

from collections.abc import Sequence

from twisted_bazaar.frontend.lookups.whole_market import MarketSnapshot
from twisted_bazaar.http import answers

__all__ = ["MergedMarket", "merged"]


def merged(markets: Sequence[MarketSnapshot]) -> MarketSnapshot:
    """All stocks of `markets`, each from one partition, by name. Its entity tag names all that
    theirs name."""
    shown = {name: body for market in markets for name, body in market.shown.items()}
    shown = dict(sorted(shown.items()))
    is_known = all(market.history and market.upto for market in markets)
    return MarketSnapshot(
        " ".join(f"{market.history}:{market.upto}" for market in markets) if is_known else "",
        sum(market.upto for market in markets) if is_known else 0,
        shown,
        answers.joined(shown.values()),
        sum(market.fresh for market in markets),
    )


class MergedMarket:
    """The last market that was put together, and the stocks that it has had."""

    def __init__(self) -> None:
        self._parts: Sequence[MarketSnapshot] = ()
        self._whole: MarketSnapshot | None = None
        self._seen: dict[str, int] = {}
        """By stock: the partition that had it last."""

    def of(self, markets: Sequence[MarketSnapshot]) -> MarketSnapshot | None:
        """The market that consists of `markets`, by partition; None: two of them have the same
        stock, as it was moved after the one had answered, and before the other did."""
        parts = self._parts
        if len(parts) == len(markets) and all(map(_is, markets, parts)):
            return self._whole
        self._parts, self._whole = markets, None
        if len({name for each in markets for name in each.shown}) == sum(
            len(each.shown) for each in markets
        ):
            self._whole = merged(markets)
            for partition, each in enumerate(markets):
                self._seen.update(dict.fromkeys(each.shown, partition))
        return self._whole

    def missing(self) -> Sequence[tuple[str, int]]:
        """The stocks that are not in the last market though they were in one before, and where they
        were."""
        whole = self._whole
        if whole is None or len(self._seen) == len(whole.shown):
            return ()
        return [(name, at) for name, at in self._seen.items() if name not in whole.shown]

    def forget(self, name: str) -> None:
        """There is no such stock any more: the order log was restored."""
        self._seen.pop(name, None)


def _is(one: MarketSnapshot, other: MarketSnapshot) -> bool:
    return one is other
