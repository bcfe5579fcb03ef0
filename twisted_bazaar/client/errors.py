"""What a call of the client may end with, in a tree by what the caller may do next. Pure.

    CallFailed
        Refused           change the request, or wait until the market has changed
        NotExecuted       send the trade again: it was certainly not executed
        OutcomeUnknown    send the trade again with the same key, or look the key up
        Unavailable       ask again later; a read changes nothing

The client itself sends again until the deadline of the call is over, so the last three say that
this was not enough. What the program did wrong (a price that is a float, a time without a zone)
is a TypeError or a ValueError, and nothing is sent.
"""

__all__ = ["CallFailed", "NotExecuted", "OutcomeUnknown", "Refused", "Unavailable"]


_OF_THE_MOMENT = (
    "unknown_stock",
    "not_enough_shares",
    "too_many_shares",
    "price_out_of_bounds",
    "halted",
)
"""The reasons for which a trade is refused that may be executed a moment later."""
_NOT_JUDGED = (
    *("", "foreign_host", "foreign_origin", "no_such_path", "method_not_allowed"),
    *("unauthenticated", "not_permitted"),
)
"""The reasons for which a front-end, or a proxy that gives none, has not looked at the trade:
another one may have taken it, or may take it."""


class CallFailed(Exception):
    """The root of the tree. Its text is one line for people."""

    def __init__(
        self,
        message: str,
        *,
        code: int = 0,
        reason: str = "",
        client_order_id: str | None = None,
        request_id: str | None = None,
        retry_after: float = 0.0,
    ) -> None:
        super().__init__(message)
        self.code = code
        """The HTTP status of the last answer; 0: there was none."""
        self.reason = reason
        """The word for programs, as docs/reference.md lists them; empty: there was none."""
        self.client_order_id = client_order_id
        """The key of the trade; None: the call was no trade."""
        self.request_id = request_id
        """Under which the logs of the bazaar have the request."""
        self.retry_after = retry_after
        """Seconds that the bazaar asks to wait before the next request."""

    @property
    def limited(self) -> bool:
        """Whether the client, or its address, has made more requests than its rate allows. Another
        front-end would count this one, too, and the wait is no shorter there."""
        return self.reason == "too_many_requests"


class Refused(CallFailed):
    """The request was judged, and has no effect: `reason` says why. For a trade that is
    `not_enough_shares`, `price_out_of_bounds`, `expired`, `halted`, `key_reused`, …"""

    @property
    def for_good(self) -> bool:
        """Whether the same trade will be refused at any later time as well, wherever a copy of it
        may be: what has expired stays so. Where this is false, the market may change, or another
        front-end may take the trade."""
        return self.judged and self.reason not in _OF_THE_MOMENT

    @property
    def judged(self) -> bool:
        """Whether the trade itself was refused, and not the way that it came."""
        return self.reason not in _NOT_JUDGED


class NotExecuted(CallFailed):
    """The trade was certainly not executed, and no copy of it will be."""


class OutcomeUnknown(CallFailed):
    """The trade may have been executed, or may still be. Its key is `client_order_id`."""


class Unavailable(CallFailed):
    """A read was not answered in time."""
