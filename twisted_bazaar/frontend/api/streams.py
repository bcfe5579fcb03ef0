"""Decodes what `GET /events` asks for. Pure."""

import re
from collections.abc import Sequence
from itertools import permutations

from twisted_bazaar.access import ANONYMOUS, Client, Permission
from twisted_bazaar.frontend.events.asked import Asked
from twisted_bazaar.frontend.events.journal import Wanted
from twisted_bazaar.frontend.events.news import EVERYONE
from twisted_bazaar.frontend.positions import Positions
from twisted_bazaar.http.refusals import Reason, Refusal, shown
from twisted_bazaar.market import MAX_NAME_CHARACTERS

from .description.vocabulary import Parameter
from .queries import QueryParameter, given_parameters, integer
from .requests import MAX_ORDER_NUMBER

__all__ = ["KINDS", "MAX_STOCKS", "PARAMETERS", "decode_asked"]

KINDS = ("order", "quote", "leader")
MAX_STOCKS = 100
"""Stocks that one reader may name."""

_LISTED = re.compile(r"((?:[^\\,]|\\[\\,])*)(,|\Z)", re.DOTALL)
_ESCAPED = re.compile(r"\\([\\,])")


def _stocks(text: str) -> tuple[str, ...] | None:
    """The names in a list: in each, a comma and a backslash have a backslash before them."""
    names: list[str] = []
    at = 0
    while len(names) < MAX_STOCKS:
        listed = _LISTED.match(text, at)
        if listed is None or not len(name := _ESCAPED.sub(r"\1", listed[1])) >= 1:
            return None
        names.append(name)
        at = listed.end()
        if not listed[2]:
            fit = len(set(names)) == len(names) and max(map(len, names)) <= MAX_NAME_CHARACTERS
            return tuple(names) if fit else None
    return None


_LISTS_OF_KINDS = {
    ",".join(kinds): kinds for count in range(1, 4) for kinds in permutations(KINDS, count)
}


def _positions(text: str) -> Positions | None:
    number = _NUMBER.read(text)
    return None if number is None else (number,)


_NUMBER = integer("after", 0, MAX_ORDER_NUMBER, says="", example=0)
AFTER = QueryParameter(
    name=_NUMBER.name,
    says="Orders with a higher number than this one, which must be there, are sent first. Without "
    "it, and without `Last-Event-ID`, the stream begins with what is traded from now on.",
    schema=_NUMBER.schema,
    example=0,
    read=_positions,
    rule=_NUMBER.rule,
)
LAST_EVENT_ID = Parameter(
    name="Last-Event-ID",
    place="header",
    says="As `after`, which it takes precedence over: a client that connects again sends the last "
    "id that it was given. An empty one counts as none.",
    schema={"type": "string", "pattern": "^(?:[0-9]{1,16})?$"},
)
EVENTS = QueryParameter(
    name="events",
    says="Events of these kinds only: a list, separated by commas.",
    schema={
        "type": "string",
        "enum": [*_LISTS_OF_KINDS],
        "default": ",".join(KINDS),
    },
    example="order",
    read=_LISTS_OF_KINDS.get,
    rule=f"a list of different kinds among {', '.join(KINDS)}",
)
STOCKS = QueryParameter(
    name="stocks",
    says="Orders and quotes of these stocks only: a list of names that are listed, separated by "
    "commas. In a name, a comma or a backslash has a backslash before it.",
    schema={"type": "string", "minLength": 1},
    example="GameStart,FishCo",
    read=_stocks,
    rule=f"a list of 1 to {MAX_STOCKS} different names of stocks, each of 1 to "
    f"{MAX_NAME_CHARACTERS} characters, separated by commas",
)
PARAMETERS = (AFTER, EVENTS, STOCKS)


def decode_asked(
    query: bytes,
    last_event_ids: Sequence[bytes] | None,
    after: QueryParameter[Positions] = AFTER,
    caller: Client = ANONYMOUS,
) -> Asked:
    """What `caller` asks for with this query string and these headers `Last-Event-ID`, which says
    what the parameter `after` does. Raises `Refusal`.

    The header wins over the parameter: a browser that connects again sends the URL as it was.
    """
    given = given_parameters(query, (after, EVENTS, STOCKS))
    kinds = EVENTS.of(given) or KINDS
    stocks = STOCKS.of(given)
    wanted = Wanted(
        "order" in kinds,
        "quote" in kinds,
        "leader" in kinds,
        None if stocks is None else frozenset(stocks),
        _sees(caller),
    )
    begin, last = after.of(given), _last_event_id(last_event_ids, after)
    if last is not None:
        return Asked(wanted, last, f"the header {LAST_EVENT_ID.name}")
    return Asked(wanted, begin, f"the query parameter {after.name}")


def _sees(caller: Client) -> str:
    """Whose orders are shown with who placed them."""
    if caller is not ANONYMOUS and caller.may(Permission.OPERATE):
        return EVERYONE
    return caller.name


def _last_event_id(
    headers: Sequence[bytes] | None, after: QueryParameter[Positions]
) -> Positions | None:
    if headers is None:
        return None
    name = LAST_EVENT_ID.name
    if len(headers) > 1:
        raise Refusal(Reason.INVALID_PARAMETER, f"the header {name} is given twice")
    text = headers[0].decode("latin-1").strip()
    if not text:
        return None
    positions = after.read(text)
    if positions is None:
        message = f"the header {name} must be {after.rule}, not {shown(text)}"
        raise Refusal(Reason.INVALID_PARAMETER, message)
    return positions
