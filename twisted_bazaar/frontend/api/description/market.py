"""The calls that look up stocks. Pure."""

from twisted_bazaar.access import Permission
from twisted_bazaar.http import answers
from twisted_bazaar.http.refusals import Reason
from twisted_bazaar.market import DEFAULT_LISTING, Stock

from .headers import CACHE_CONTROL, ENTITY_TAG, IF_NONE_MATCH, X_CACHE
from .vocabulary import Answer, Example, Operation, Parameter, holding

__all__ = ["STOCK", "STOCKS"]

_LISTED = {
    each.name: Stock(each.name, each.price, each.quantity, volume=0, version=1)
    for each in DEFAULT_LISTING
}

STOCK = Operation(
    id="getStock",
    permission=Permission.READ,
    tag="stocks",
    summary="Look up a stock",
    says="Never older than what any client has been shown before, by any front-end.",
    parameters=(
        Parameter(
            name="name",
            place="path",
            says="One segment, percent-encoded UTF-8: a slash is `%2F`, and a plus sign a plus "
            "sign.",
            schema={"type": "string", "minLength": 1},
            example="GameStart",
        ),
        IF_NONE_MATCH,
    ),
    answers=(
        Answer(
            says="The stock.",
            body=holding("StockAnswer", answers.ShownStock),
            headers=(ENTITY_TAG, X_CACHE, CACHE_CONTROL),
        ),
        Answer(
            code=304,
            says="It has not changed.",
            headers=(ENTITY_TAG, X_CACHE, CACHE_CONTROL),
        ),
    ),
    refusals=(Reason.NO_SUCH_STOCK, Reason.UNAVAILABLE),
    examples=(
        Example(
            says="A stock",
            target="/stocks/GameStart",
            answer=answers.stock(_LISTED["GameStart"]),
        ),
        Example(
            says="A stock that the client has",
            target="/stocks/GameStart",
            sent={"If-None-Match": "*"},
            code=304,
        ),
        Example(
            says="A stock that is not listed",
            target="/stocks/Nope",
            code=404,
            reason=Reason.NO_SUCH_STOCK,
            answer=answers.error(404, "no_such_stock", 'there is no stock named "Nope"'),
        ),
    ),
)

STOCKS = Operation(
    id="listStocks",
    permission=Permission.READ,
    tag="stocks",
    summary="Look up all stocks",
    says="All of them after the same entry of the order log.",
    parameters=(IF_NONE_MATCH,),
    answers=(
        Answer(
            says="Every stock, by name.",
            body=holding("StocksAnswer", list[answers.ShownStock]),
            headers=(ENTITY_TAG, CACHE_CONTROL),
        ),
        Answer(
            code=304,
            says="Nothing has changed.",
            headers=(ENTITY_TAG, CACHE_CONTROL),
        ),
    ),
    refusals=(Reason.UNAVAILABLE, Reason.OVERLOADED),
    examples=(
        Example(
            says="All stocks",
            target="/stocks",
            answer=answers.stocks(_LISTED[name] for name in sorted(_LISTED)),
        ),
        Example(
            says="All stocks, which the client has",
            target="/stocks",
            sent={"If-None-Match": "*"},
            code=304,
        ),
    ),
)
