"""What of an order a client is shown, and which key its orders have in the log. Pure.

Who placed an order is shown to that client and to operators; others see what was traded, not by
whom. Where there is no file of clients, all see all.
"""

import msgspec

from twisted_bazaar.access import ANONYMOUS, Client, Permission
from twisted_bazaar.market import Order, Trade
from twisted_bazaar.order_keys import SEPARATOR, client_of, own_key, scoped

__all__ = ["OPERATOR", "is_shown_whole", "owned", "seen_by"]

OPERATOR = Client("", frozenset({Permission.OPERATE}))
"""Who is shown all of each order."""

_replace = msgspec.structs.replace


def owned(trade: Trade, caller: Client) -> Trade:
    """`trade` of `caller`, with the scoped key."""
    name = caller.name
    return _replace(trade, key=scoped(name, trade.key)) if name else trade


def is_shown_whole(client: str, caller: Client) -> bool:
    """Whether `caller` is shown who placed an order of `client`."""
    return caller.may(Permission.OPERATE) or ("" != client == caller.name)


def seen_by(caller: Client, order: Order) -> Order:
    """`order`, which has its scoped key, as `caller` is shown it."""
    key = order.key
    if caller is ANONYMOUS:
        return _replace(order, key=own_key(key)) if SEPARATOR in key else order
    client = client_of(key)
    if is_shown_whole(client, caller):
        return _replace(order, key=own_key(key), client=client or None)
    return _replace(order, key="", client=None)
