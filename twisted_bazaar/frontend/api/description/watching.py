"""The call that tells of events. Pure."""

from twisted_bazaar.access import Permission
from twisted_bazaar.errors import Unavailable
from twisted_bazaar.frontend.api import streams
from twisted_bazaar.frontend.events import encoding
from twisted_bazaar.http import answers
from twisted_bazaar.http.refusals import Reason

from .failures import failed, refused
from .vocabulary import Answer, Header, Operation

__all__ = ["EVENTS"]

EVENTS = Operation(
    id="watchEvents",
    permission=Permission.READ,
    tag="events",
    summary="Be told of orders, quotes and leaders",
    says="Server-sent events, without end. `order` has the order as `GET /orders/{number}` shows "
    "it, and its number as id: every one, once, in order. `quote` has the market data of a stock: "
    "of each at the start, and then of those that change, the last one if there are several. "
    "`leader` has the replica that leads. `retry: 1000` comes first, and a comment every 15 s "
    "where there is nothing else. Connect again with the last id in `Last-Event-ID`, at any "
    "front-end: nothing is missing, and nothing comes twice. A part without `data` only sets the "
    "id.",
    parameters=(*streams.PARAMETERS, streams.LAST_EVENT_ID),
    answers=(
        Answer(
            says="The events. The stream ends when the front-end stops, and for a client that "
            "does not take what it is sent.",
            media_type="text/event-stream",
            events={
                "order": answers.ShownOrder,
                "quote": encoding.ShownQuote,
                "leader": encoding.ShownLeader,
            },
            headers=(
                Header(
                    name="Cache-Control",
                    says="HTTP caches must not keep it.",
                    schema={"const": "no-store", "type": "string"},
                ),
                Header(
                    name="Vary",
                    says="It is compressed for a client that takes `gzip`.",
                    schema={"const": "Accept-Encoding", "type": "string"},
                ),
            ),
        ),
    ),
    refusals=(Reason.INVALID_PARAMETER, Reason.OVERLOADED, Reason.UNAVAILABLE),
    examples=(
        refused(
            "A kind that there is not",
            "/events?events=trade",
            lambda _: streams.decode_asked(b"events=trade", None),
        ),
        failed("No replica", "/events", Unavailable("no order replica answers")),
    ),
)
