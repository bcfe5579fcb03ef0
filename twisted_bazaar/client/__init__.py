"""A client for programs that trade: small, typed, and safe to interrupt at any place.

    from twisted_bazaar.client import Client
    with Client("http://127.0.0.1:8081") as bazaar:
        bazaar.place("GameStart", "buy", 5)

`blocking.Client` has calls that block, `deferreds.Deferreds` the same calls as Deferreds. Both
take the steps that `core.Core` makes, which knows no I/O: what to send (`requests`), when to send
it again (`retries`), what an answer means (`answers`), how a stream goes on (`stream`). Its
pure part imports `market` only; `load` imports it. Importing this package imports no reactor.
docs/client.md is the guide.
"""

from .blocking import Client
from .errors import CallFailed, NotExecuted, OutcomeUnknown, Refused, Unavailable
from .values import (
    Event,
    Judged,
    Leader,
    Order,
    Page,
    Placed,
    Quote,
    Side,
    Trade,
)

__all__ = [
    "CallFailed",
    "Client",
    "Event",
    "Judged",
    "Leader",
    "NotExecuted",
    "Order",
    "OutcomeUnknown",
    "Page",
    "Placed",
    "Quote",
    "Refused",
    "Side",
    "Trade",
    "Unavailable",
]
