"""The REST API: one Klein route for each call.

A route decodes the request (`requests`), calls one collaborator and encodes the result (`answers`);
every failure becomes a `Refusal` (`refusals`). `Dispatcher` finds the route of a request. Importing
this module imports Klein, which installs the reactor.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.http import NOT_MODIFIED
from twisted.web.resource import Resource
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from twisted_bazaar.errors import BazaarError
from twisted_bazaar.frontend.access.orders import owned, seen_by
from twisted_bazaar.frontend.cache.quotes import LookupResult
from twisted_bazaar.frontend.lookups.whole_market import MarketSnapshot
from twisted_bazaar.frontend.page.files import INDEX, PageFiles
from twisted_bazaar.frontend.partitions.streams import after_of
from twisted_bazaar.http import answers
from twisted_bazaar.http.hosts import Hosts
from twisted_bazaar.http.refusals import (
    NO_SUCH_PATH,
    Reason,
    Refusal,
    later,
    refusal_of,
    shown,
)
from twisted_bazaar.http.site import BazaarRequest
from twisted_bazaar.market import Judged, Order, Placed, Trade

from . import streams
from .batches import batch_body, decode_batch
from .description import batch, live, market, reading, state, trading, watching
from .description.page import POLICY
from .dispatch import Dispatcher
from .entity_tags import entity_tag, matches
from .entrance import Entrance
from .old_system import PREFIX as OLD
from .requests import (
    MAX_STOCK_NAME_CHARACTERS,
    check_content,
    check_key_headers,
    decode_order_number,
)
from .served import Description, Served
from .services import Events, Lookups, OrderLists, Overviews, Reporting, SingleOrders, Trading
from .trades import decode_trade, decode_validate

__all__ = ["Routes"]

MAX_SENDING_BYTES = 32 * 1024 * 1024
"""Of answers to `GET /stocks` being sent at a time. A single one may be larger."""

T = TypeVar("T")


class Routes:
    """The routes of one front-end."""

    served = Served()
    app = served.app  # Klein binds it to its instance.

    def __init__(
        self,
        *,
        trades: Trading,
        lookups: Lookups,
        replicas: SingleOrders,
        lists: OrderLists,
        reports: Reporting,
        overview: Overviews,
        events: Events,
        fresh_key: Callable[[], str],
        hosts: Hosts,
        notice: Callable[[], str | None] | None = None,
        partitions: int = 1,
        entrance: Entrance | None = None,
    ) -> None:
        """All requests pass the `entrance`; None: all may do all, at any rate. `notice` returns
        what operators should know of this front-end although it is ready. If there are several
        partitions, the others stand before what there is of each."""
        self._trades = trades
        self._lookups = lookups
        self._replicas = replicas
        self._lists = lists
        self._reports = reports
        self._overview = overview
        self._events = events
        self._fresh_key = fresh_key
        self._notice = notice
        self._sending_bytes = 0
        """Bytes of answers to `GET /stocks` being sent."""
        self._hosts = hosts
        self._page = PageFiles.read()
        self._partitions = partitions
        self._entrance = entrance or Entrance()
        self._after = streams.AFTER if partitions == 1 else after_of(partitions)

    def resource(self) -> Resource:
        """The resource that a `BazaarSite` serves."""
        self._description()  # Made now: the first client would make the others wait for it.
        asks = self._entrance != Entrance()
        return Dispatcher(
            self.app, _failed, self.served.permissions, self._entrance if asks else None
        )

    def _description(self) -> Description:
        return self.served.description(
            self._partitions,
            self._entrance.gate is not None,
            self._entrance.admission is not None,
        )

    @served(market.STOCK, "GET", "/stocks/<name>", OLD + "/trade/stocks/<name>")
    def stock(self, request: BazaarRequest, name: str) -> Deferred[bytes]:
        def show(found: LookupResult) -> bytes:
            quote = found.quote
            request.responseHeaders.setRawHeaders(b"X-Cache", [found.source.value])
            if quote is None:
                raise _no_such_stock(name)
            return b"" if _is_known(request, found.history, quote.version) else quote.body

        if len(name) > MAX_STOCK_NAME_CHARACTERS:
            raise _no_such_stock(name)
        return _answer(request, self._lookups.look_up(name), show)

    @served(market.STOCKS, "GET", "/stocks")
    def stocks(self, request: BazaarRequest) -> Deferred[bytes]:
        def show(market: MarketSnapshot) -> bytes:
            body = market.body
            # The leader's answer does not say which entry it is as of.
            if market.upto and _is_known(request, market.history, market.upto):
                return b""
            if self._sending_bytes and self._sending_bytes + len(body) > MAX_SENDING_BYTES:
                message = "overloaded: too many lists of all stocks are being sent; ask again"
                raise later(Reason.OVERLOADED, message)
            self._sending_bytes += len(body)
            request.notifyFinish().addBoth(sent, len(body))
            return body

        def sent(_: object, size: int) -> None:
            self._sending_bytes -= size

        asked = self._lookups.look_up_all()
        if not asked.called:
            # A client that has hung up does not cause a query.
            request.notifyFinish().addErrback(lambda _: asked.cancel())
        return _answer(request, asked, show)

    @served(trading.PLACE, "POST", "/orders", OLD + "/trade/orders")
    def place(self, request: BazaarRequest) -> Deferred[bytes]:
        def show(outcome: Placed | Judged) -> bytes:
            if isinstance(outcome, Placed) and outcome.replayed:
                request.responseHeaders.setRawHeaders(b"Idempotent-Replayed", [b"true"])
            return answers.placed(trade, outcome)

        keys = self._check_change(request)
        validate = decode_validate(request.uri)
        trade = decode_trade(request.content.read(), keys, self._fresh_key, validate)
        mine = owned(trade, request.caller)
        placed = self._trades.place(
            mine, request.request_id, request.trace_context, _owner(request)
        )
        return _answer(request, placed, show, trade)

    @served(batch.PLACE_BATCH, "POST", "/orders/batch", OLD + "/trade/orders/batch")
    def place_batch(self, request: BazaarRequest) -> Deferred[bytes]:
        def show(outcomes: Sequence[Placed | Judged | BazaarError]) -> bytes:
            return batch_body(decoded, outcomes)

        keys = self._check_change(request)
        validate = decode_validate(request.uri)
        decoded = decode_batch(request.content.read(), keys, self._fresh_key, validate)
        if self._entrance.admission is not None:
            self._entrance.admission.admit_trades(request, len(decoded))
        caller = request.caller
        trades = [owned(each, caller) for each in decoded if isinstance(each, Trade)]
        placed = self._trades.place_together(
            trades, request.request_id, request.trace_context, _owner(request)
        )
        return _answer(request, placed, show)

    def _check_change(self, request: BazaarRequest) -> Sequence[bytes] | None:
        """Refuse a call that changes something, if a foreign web page may have made it, or its body
        is not JSON in UTF-8. Returns its headers `Idempotency-Key`."""
        headers = request.requestHeaders
        header = headers.getRawHeaders
        local = getattr(request.getHost(), "host", "")
        self._hosts.check(request.authority, local, header(b"Origin"), header(b"Sec-Fetch-Site"))
        check_content(header(b"Content-Type"), header(b"Content-Encoding"))
        check_key_headers(name for name, _ in headers.getAllRawHeaders())
        return header(b"Idempotency-Key")

    @served(reading.ORDER, "GET", "/orders/<number>", OLD + "/trade/orders/<number>")
    def order(self, request: BazaarRequest, number: str) -> Deferred[bytes]:
        def show(order: Order | None) -> bytes:
            if order is None:
                raise _no_such_order(number)
            return answers.order(seen_by(request.caller, order))

        wanted = decode_order_number(number)
        if wanted is None:
            raise _no_such_order(number)
        found = self._replicas.get(wanted, request.request_id, request.trace_context)
        return _answer(request, found, show)

    @served(reading.ORDERS, "GET", "/orders", OLD + "/trade/orders")
    def orders(self, request: BazaarRequest) -> Deferred[bytes]:
        query = request.uri.partition(b"?")[2]
        page = self._lists.page(query, request.request_id, request.trace_context, request.caller)
        return _answer(request, page, bytes)

    @served(watching.EVENTS, "GET", "/events")
    def events(self, request: BazaarRequest) -> Deferred[bytes | None]:
        query = request.uri.partition(b"?")[2]
        last_ids = request.requestHeaders.getRawHeaders(b"Last-Event-ID")
        asked = streams.decode_asked(query, last_ids, self._after, request.caller)
        begun = self._events.open(request, asked)
        return begun.addErrback(lambda failure: _failed(failure, request))

    @served(state.PING, "GET", "/ping")
    def ping(self, request: BazaarRequest) -> bytes:
        return _uncached(b'{"data":"pong"}', request)

    @served(state.OLD_PING, "GET", OLD + "/ping")
    def old_ping(self, request: BazaarRequest) -> bytes:
        return _uncached(b'{"data":{"data":"pong"}}', request)

    @served(state.LIVE, "GET", "/livez")
    def livez(self, request: BazaarRequest) -> bytes:
        return _uncached(b'{"data":"alive"}', request)

    @served(state.READY, "GET", "/readyz")
    def readyz(self, request: BazaarRequest) -> Deferred[bytes]:
        def show(reason: str | None) -> bytes:
            if reason is not None:
                raise later(Reason.NOT_READY, f"not ready: {reason}")
            return answers.ready(self._notice() if self._notice is not None else None)

        return _answer(request, self._reports.readiness(), show)

    @served(state.REPLICAS, "GET", "/replicas")
    def replica_reports(self, request: BazaarRequest) -> Deferred[bytes]:
        return _answer(request, self._reports.report(), answers.success)

    @served(state.STATUS, "GET", "/status")
    def status(self, request: BazaarRequest) -> Deferred[bytes]:
        return _answer(request, self._overview.status(), answers.success)

    @served(live.LIVE_PAGE, "GET", "/")
    def page(self, request: BazaarRequest) -> bytes:
        return _uncached(self._page.answer(request, INDEX), request)

    @served(live.FILE, "GET", "/page/<file>")
    def page_file(self, request: BazaarRequest, file: str) -> bytes:
        return _uncached(self._page.answer(request, file), request)

    @served(state.DESCRIPTION, "GET", "/openapi.json")
    def description(self, request: BazaarRequest) -> bytes:
        return _uncached(self._description().openapi, request)

    @served(state.PAGE, "GET", "/docs")
    def docs(self, request: BazaarRequest) -> bytes:
        headers = request.responseHeaders
        headers.setRawHeaders(b"Content-Type", [b"text/html; charset=utf-8"])
        headers.setRawHeaders(b"Content-Security-Policy", [POLICY])
        headers.setRawHeaders(b"X-Content-Type-Options", [b"nosniff"])
        return _uncached(self._description().page, request)


def _owner(request: BazaarRequest) -> str:
    """Whose share of the queue a trade takes: a client's, or an address's."""
    return request.caller.name or request.network


def _answer(
    request: BazaarRequest,
    work: Deferred[T],
    show: Callable[[T], bytes],
    trade: Trade | None = None,
) -> Deferred[bytes]:
    """The body that shows the result of `work`, or its failure."""
    answer = work.addCallback(show).addErrback(_refused, request, trade)
    return answer.addCallback(_uncached, request)


def _is_known(request: BazaarRequest, history: str, version: int) -> bool:
    """Whether the client has the answer of this version: it is sent 304. If it has not, it is told
    the entity tag."""
    tag = entity_tag(history, version)
    if tag:
        request.responseHeaders.setRawHeaders(b"ETag", [tag])
    if matches(request.requestHeaders.getRawHeaders(b"If-None-Match"), tag):
        request.setResponseCode(NOT_MODIFIED)
        return True
    return False


def _failed(failure: Failure, request: BazaarRequest) -> bytes:
    """The body for an error that routing or a route raised before it returned a Deferred."""
    return _uncached(_refused(failure, request), request)


def _uncached(body: bytes, request: BazaarRequest) -> bytes:
    """`body`, which HTTP caches must revalidate: it could show an older quantity."""
    request.responseHeaders.setRawHeaders(b"Cache-Control", [b"no-cache"])
    return body


def _refused(failure: Failure, request: BazaarRequest, trade: Trade | None = None) -> bytes:
    error = failure.value
    if isinstance(error, HTTPException):
        return request.refuse(_not_routed(error))
    return request.refuse(refusal_of(error, trade) or request.report(failure))


def _not_routed(error: HTTPException) -> Refusal:
    if isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        message = f"only {allowed} can be done here"
        return Refusal(Reason.METHOD_NOT_ALLOWED, message, {b"Allow": allowed.encode()})
    return NO_SUCH_PATH


def _no_such_stock(name: str) -> Refusal:
    return Refusal(Reason.NO_SUCH_STOCK, f"there is no stock named {shown(name)}")


def _no_such_order(number: str) -> Refusal:
    return Refusal(Reason.NO_SUCH_ORDER, f"there is no order number {shown(number)}")
