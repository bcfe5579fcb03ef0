"""What each reason for a failure means, for those who read the description. Pure."""

from collections.abc import Mapping

from twisted_bazaar.http.refusals import Reason

__all__ = [
    "ANY_CALL",
    "BEFORE_THE_PATH",
    "ELSEWHERE",
    "INTERNAL",
    "MEANINGS",
    "MESSAGES",
    "WITH_LIMITS",
    "WITH_CLIENTS",
]

MEANINGS: Mapping[Reason, str] = {
    Reason.MALFORMED: "the body is not a JSON object, or the request is not well-formed HTTP",
    Reason.INVALID_FIELD: "a field of the body is missing, unknown, given twice, or has a wrong "
    "value; the message names it",
    Reason.INVALID_KEY: "an idempotency key is malformed, or there are two different ones",
    Reason.INVALID_PARAMETER: "a query parameter is unknown, given twice, or has a wrong value; "
    "the message names it",
    Reason.UNKNOWN_STOCK: "the trade is of a stock that is not listed",
    Reason.UNAUTHENTICATED: "the call needs the API key of a client, and none is given, or one "
    "that no client has",
    Reason.NOT_PERMITTED: "the client lacks the permission that the call needs",
    Reason.FOREIGN_HOST: "the URL of a trade names another host than this bazaar",
    Reason.FOREIGN_ORIGIN: "a web page of another origin sent the trade, as its header Origin or "
    "Sec-Fetch-Site shows",
    Reason.NO_SUCH_PATH: "there is nothing at this path",
    Reason.NO_SUCH_STOCK: "no stock has this name",
    Reason.NO_SUCH_ORDER: "no order has this number",
    Reason.METHOD_NOT_ALLOWED: "the header Allow lists the methods of this path",
    Reason.TOO_SLOW: "the request did not come in time",
    Reason.NOT_ENOUGH_SHARES: "fewer shares are left than the buy asks for; the trade leaves no "
    "trace",
    Reason.TOO_MANY_SHARES: "with the sale the stock would hold more than 2^53 - 1 shares; the "
    "trade leaves no trace",
    Reason.PRICE_OUT_OF_BOUNDS: "the price is above the limit of a buy, or below that of a sell; "
    "the trade leaves no trace",
    Reason.EXPIRED: "the trade would have been decided after its `valid_until`; it leaves no trace",
    Reason.HALTED: "trading of the stock is halted; the trade leaves no trace",
    Reason.TOO_LARGE: "the body is over 64 KiB, or that of a batch over 192 KiB",
    Reason.PATH_TOO_LONG: "the path is too long",
    Reason.UNSUPPORTED_MEDIA_TYPE: "the body is not called application/json in UTF-8, or has a "
    "Content-Encoding",
    Reason.KEY_REUSED: "the key belongs to another trade",
    Reason.TOO_MANY_REQUESTS: "the client has made more requests than its rate allows; a trade was "
    "not looked at",
    Reason.TOO_MANY_CONNECTIONS: "there are too many connections from one address",
    Reason.HEADERS_TOO_LARGE: "the head of the request is too large",
    Reason.INTERNAL_ERROR: "an unexpected error, which the log has under the request's id",
    Reason.NOT_EXECUTED: "the trade was certainly not executed: no leader could decide it in time",
    Reason.OUTCOME_UNKNOWN: "the trade may have been executed; the message names the key under "
    "which to find out. The status is 202 if the client chose no key",
    Reason.OVERLOADED: "too many requests are under way; a trade was certainly not executed",
    Reason.NOT_READY: "of /readyz: the message says what is missing",
    Reason.UNAVAILABLE: "no service can answer this request now",
}

ANY_CALL = (
    Reason.MALFORMED,
    Reason.TOO_SLOW,
    Reason.TOO_LARGE,
    Reason.PATH_TOO_LONG,
    Reason.TOO_MANY_CONNECTIONS,
    Reason.HEADERS_TOO_LARGE,
    Reason.INTERNAL_ERROR,
    Reason.OVERLOADED,
)
"""What any call can be refused for."""

BEFORE_THE_PATH = frozenset(ANY_CALL) - {Reason.INTERNAL_ERROR}
"""What a request can be refused for before its path is known."""

ELSEWHERE = (Reason.NO_SUCH_PATH, Reason.METHOD_NOT_ALLOWED)
"""What only a request meets that is none of the calls."""

WITH_CLIENTS = (Reason.UNAUTHENTICATED, Reason.NOT_PERMITTED)
"""What calls that need a permission are refused for, where there is a file of clients."""

WITH_LIMITS = (Reason.TOO_MANY_REQUESTS,)
"""What these calls are refused for where rates are limited."""

INTERNAL = (
    *(Reason.NOT_SIGNED, Reason.LENGTH_REQUIRED),
    *(Reason.LISTED_ALREADY, Reason.TOO_MANY_STOCKS, Reason.MEMBERS_REFUSED),
)
"""What only the internal endpoint answers."""

MESSAGES: Mapping[Reason, str] = {
    Reason.UNAUTHENTICATED: "this call needs an API key: send Authorization: Bearer and the key",
    Reason.NOT_PERMITTED: "client reader lacks the permission trade, which this call needs",
    Reason.MALFORMED: "the request is not well-formed HTTP/1.1",
    Reason.TOO_SLOW: "the request took too long to come",
    Reason.TOO_LARGE: "the body is larger than 65536 bytes",
    Reason.PATH_TOO_LONG: "the path is longer than 16384 bytes",
    Reason.TOO_MANY_REQUESTS: "there were too many requests; send it again after 2 s",
    Reason.TOO_MANY_CONNECTIONS: "there are too many connections from your address; close some",
    Reason.HEADERS_TOO_LARGE: "the headers are more than 500 headers or 16384 bytes",
    Reason.INTERNAL_ERROR: "the service failed; its log knows this request as "
    "f5xkq3rn7a-00000007-3c9d2b1f60a8",
    Reason.OVERLOADED: "too many connections wait for an answer; connect again later",
    Reason.UNAVAILABLE: "this cannot be answered now; ask again",
}
"""What is said of a failure that has no example of its own."""
