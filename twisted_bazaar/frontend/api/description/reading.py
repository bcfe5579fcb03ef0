"""The calls that read orders. Pure."""

from collections.abc import Sequence

from twisted_bazaar.access import Permission
from twisted_bazaar.errors import Unavailable
from twisted_bazaar.frontend.api import listing
from twisted_bazaar.frontend.api.requests import MAX_ORDER_NUMBER
from twisted_bazaar.http import answers
from twisted_bazaar.http.refusals import Reason
from twisted_bazaar.market import Order, Side
from twisted_bazaar.selection import Page

from .failures import failed, refused
from .headers import CACHE_CONTROL
from .vocabulary import Answer, Example, Link, Operation, Parameter, holding

__all__ = ["FIRST", "ORDER", "ORDERS"]

FIRST = Order(1, "GameStart", Side.BUY, 5, 1_795_337_026_064, "bot-7-trade-1", False, 1599, None)


def _page(query: bytes, orders: Sequence[Order]) -> bytes:
    selection = listing.decode_selection(query)
    examined = max((order.number for order in orders), default=selection.after)
    return listing.shown_page(selection, Page(orders, examined, ended=True))


_UNREAD = failed(
    "No replica", "/orders/1", Unavailable("no order replica leads, and none knows the answer")
)

ORDER = Operation(
    id="getOrder",
    permission=Permission.READ,
    tag="orders",
    summary="Read an order",
    says="An order is the same for ever.",
    parameters=(
        Parameter(
            name="number",
            place="path",
            says="The `transaction_number` of the trade.",
            schema={"type": "integer", "minimum": 1, "maximum": MAX_ORDER_NUMBER},
            example=1,
        ),
    ),
    answers=(
        Answer(
            says="The order.",
            body=holding("OrderAnswer", answers.ShownOrder),
            headers=(CACHE_CONTROL,),
        ),
    ),
    refusals=(Reason.NO_SUCH_ORDER, Reason.UNAVAILABLE),
    examples=(
        Example(says="An order", target="/orders/1", answer=answers.order(FIRST)),
        Example(
            says="An order that is not there",
            target="/orders/999",
            code=404,
            reason=Reason.NO_SUCH_ORDER,
            answer=answers.error(404, "no_such_order", 'there is no order number "999"'),
        ),
        _UNREAD,
    ),
)

_GO_ON = Link(
    name="next",
    operation="listOrders",
    parameters={"cursor": "$response.body#/cursor"},
    says="What comes after these orders, now or later.",
)

ORDERS = Operation(
    id="listOrders",
    permission=Permission.READ,
    tag="orders",
    summary="Read orders",
    says="All conditions must hold. Go on with `cursor`, now or later; or with `after` and `next`.",
    parameters=listing.PARAMETERS,
    answers=(
        Answer(
            says="A page of orders.",
            body=answers.OrdersPage,
            headers=(CACHE_CONTROL,),
            links=(_GO_ON,),
        ),
    ),
    refusals=(Reason.INVALID_PARAMETER, Reason.UNAVAILABLE),
    examples=(
        Example(
            says="The first orders",
            target="/orders?after=0&limit=2",
            answer=_page(b"after=0&limit=2", [FIRST]),
        ),
        Example(
            says="What became of a key",
            target="/orders?client_order_id=bot-7-trade-1",
            answer=_page(b"client_order_id=bot-7-trade-1", [FIRST]),
        ),
        Example(
            says="A key that was never executed",
            target="/orders?client_order_id=bot-7-trade-2",
            answer=_page(b"client_order_id=bot-7-trade-2", []),
        ),
        Example(
            says="The last orders of a stock",
            target="/orders?stock=GameStart&direction=desc&limit=10",
            answer=_page(b"stock=GameStart&direction=desc&limit=10", [FIRST]),
        ),
        refused("A wrong limit", "/orders?limit=0", lambda _: listing.decode_selection(b"limit=0")),
    ),
)
