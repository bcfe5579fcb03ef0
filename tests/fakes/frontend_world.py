"""A front-end without the bazaar behind it: the real site and routes over one ledger in memory.

Importing this module imports Klein, and so installs the reactor: only test modules may.
"""

import gc
import itertools
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from treq.testing import StubTreq
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.web.resource import Resource

from twisted_bazaar import errors
from twisted_bazaar.frontend.access.gate import Gate
from twisted_bazaar.frontend.api.entity_tags import entity_tag
from twisted_bazaar.frontend.api.entrance import Entrance
from twisted_bazaar.frontend.api.old_system import public_site
from twisted_bazaar.frontend.api.order_lists import OneList
from twisted_bazaar.frontend.api.reports import ReplicaReport
from twisted_bazaar.frontend.api.routes import Routes
from twisted_bazaar.frontend.cache.quotes import LookupResult, Quote, Source
from twisted_bazaar.frontend.events.asked import Asked
from twisted_bazaar.frontend.limits.admission import Admission
from twisted_bazaar.frontend.limits.figures import LimitFigures
from twisted_bazaar.frontend.limits.limits import Limits
from twisted_bazaar.frontend.lookups.whole_market import MarketSnapshot
from twisted_bazaar.http import answers
from twisted_bazaar.http.connections import MAX_CONNECTIONS
from twisted_bazaar.http.hosts import Hosts
from twisted_bazaar.http.refusals import ACCEPTED, NO_SUCH_PATH, Reason
from twisted_bazaar.http.site import BazaarRequest, BazaarSite
from twisted_bazaar.ledger import Ledger
from twisted_bazaar.market import (
    DEFAULT_LISTING,
    Judged,
    Listed,
    Order,
    Placed,
    Rejection,
    Trade,
    Traded,
)
from twisted_bazaar.metrics.figures import Metrics
from twisted_bazaar.selection import Page, Selection
from twisted_bazaar.status.report import ClusterStatus
from twisted_bazaar.tracing.context import TraceContext

from .cluster_status import cluster_status

OLD = "/api/frontend_service"
GAME_START = {"name": "GameStart", "price": 15.99, "quantity": 100, "volume": 0, "halted": False}
TRADE_BODY = b'{"name": "GameStart", "quantity": 5, "type": "buy"}'

HISTORY = "log-1"
TAG = entity_tag(HISTORY, 1).decode()
"""Of what has just been listed."""

HOSTS = ("shop.example",)
"""What the front-end is called, beyond the names of its machine."""
TAKEN_AT = 1_700_000_000_123


class FakeBazaar:
    """All collaborators of the API in one. It answers at once, unless a test says otherwise."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.ledger.apply(1, Listed(DEFAULT_LISTING))
        self.by_key: dict[str, Traded] = {}
        self.history: list[Order] = []
        self.asked: list[object] = []
        """What the API asked for, in order."""
        self.request_ids: list[str] = []
        """The ids of the requests that it was asked for, where a call carries one."""
        self.contexts: list[TraceContext | None] = []
        """Where in a trace these requests are."""
        self.answer: Deferred[Any] | Exception | None = None
        """What every call returns, or fails with, instead of an answer."""
        self.owners: list[str] = []
        """Whose the trades were, by call."""
        self.unready: str | None = None
        self.cluster_status = cluster_status()
        self.notice: str | None = None
        self.source = Source.MISS
        """Where lookups are answered from."""
        self.order_log = HISTORY
        """Names the history of the market data."""

    def place(
        self,
        trade: Trade,
        request_id: str = "",
        context: TraceContext | None = None,
        owner: str = "",
    ) -> Deferred[Placed | Judged]:
        self.owners.append(owner)
        self.request_ids.append(request_id)
        self.contexts.append(context)
        return self._answer(trade, lambda: self._place(trade))

    def place_together(
        self,
        trades: Sequence[Trade],
        request_id: str = "",
        context: TraceContext | None = None,
        owner: str = "",
    ) -> Deferred[Any]:
        def place(trade: Trade) -> Placed | Judged | errors.BazaarError:
            try:
                return self._place(trade)
            except errors.BazaarError as error:
                return error

        self.owners.append(owner)
        self.request_ids.append(request_id)
        self.contexts.append(context)
        return self._answer(list(trades), lambda: [place(trade) for trade in trades])

    def look_up(self, name: str) -> Deferred[LookupResult]:
        return self._answer(name, lambda: self._look_up(name))

    def look_up_all(self) -> Deferred[MarketSnapshot]:
        stocks = list(self.ledger.stocks.values())
        upto = max(stock.version for stock in stocks)
        return self._answer("all", lambda: MarketSnapshot.of(stocks, self.order_log, upto))

    def get(
        self, number: int, request_id: str = "", context: TraceContext | None = None
    ) -> Deferred[Order | None]:
        self.request_ids.append(request_id)
        self.contexts.append(context)
        found = [order for order in self.history if order.number == number]
        return self._answer(number, lambda: found[0] if found else None)

    def list(
        self, selection: Selection, request_id: str = "", context: TraceContext | None = None
    ) -> Deferred[Page]:
        self.request_ids.append(request_id)
        self.contexts.append(context)

        def page() -> Page:
            found = [order for order in self.history if selection.fits(order)]
            found = (found[::-1] if selection.descending else found)[: selection.limit]
            if len(found) == selection.limit:
                return Page(found, found[-1].number, ended=False)
            end = 1 if selection.descending else max(selection.after, len(self.history))
            return Page(found, end, ended=True)

        return self._answer(selection, page)

    def report(self) -> Deferred[Sequence[ReplicaReport]]:
        reports = [
            ReplicaReport(
                id=id,
                role=role,
                term=4,
                last_number=812,
                last_index=830,
                digest="c0ffee",
                reachable=id != 2,
            )
            for id, role in ((1, "follower"), (2, "follower"), (3, "leader"))
        ]
        return self._answer("report", lambda: reports)

    def status(self) -> Deferred[ClusterStatus]:
        return self._answer("status", lambda: self.cluster_status)

    def readiness(self) -> Deferred[str | None]:
        return self._answer("readiness", lambda: self.unready)

    def open(self, request: BazaarRequest, asked: Asked) -> Deferred[None]:
        return self._answer(asked, lambda: request.answer(NO_SUCH_PATH))

    def _answer(self, asked: object, answer: Any) -> Deferred[Any]:
        self.asked.append(asked)
        if isinstance(self.answer, Deferred):
            return self.answer
        if self.answer is not None:
            return fail(self.answer)
        try:
            return succeed(answer())
        except errors.BazaarError as error:
            return fail(error)

    def _look_up(self, name: str) -> LookupResult:
        stock = self.ledger.stocks.get(name)
        quote = None if stock is None else Quote(stock.version, answers.stock(stock))
        return LookupResult(quote, self.source, self.order_log)

    def _place(self, trade: Trade) -> Placed | Judged:
        seen = self.by_key.get(trade.key)
        if seen is not None:
            if not seen.fulfils(trade):
                raise errors.KeyReused
            return Placed(seen.number, True, seen.price)
        decided = self.ledger.decide(trade, TAKEN_AT)
        if isinstance(decided, Rejection):
            raise errors.Rejected(decided)
        price = self.ledger.price_of(decided)
        if trade.validate:
            return Judged(price)
        self.ledger.apply(len(self.history) + 2, decided)
        self.history.append(
            Order(
                decided.number,
                trade.stock,
                trade.side,
                trade.quantity,
                TAKEN_AT,
                trade.key,
                trade.made,
                price,
                trade.limit,
            )
        )
        self.by_key[trade.key] = decided
        return Placed(decided.number, False, price)


class FrontEnd:
    """The site that serves a `FakeBazaar`, and a client of it that needs no network."""

    def __init__(
        self,
        reactor: Any = None,
        resource: Resource | None = None,
        max_connections: int = MAX_CONNECTIONS,
        partitions: int = 1,
        gate: Gate | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.bazaar = FakeBazaar()
        self.clock = Clock()
        self.limited = LimitFigures(Metrics())
        admission = None
        if limits is not None:
            admission = Admission(limits, self._nanoseconds, self.limited)
        self.entrance = Entrance(gate, admission)
        routes = Routes(
            trades=self.bazaar,
            lookups=self.bazaar,
            replicas=self.bazaar,
            lists=OneList(self.bazaar),
            reports=self.bazaar,
            overview=self.bazaar,
            events=self.bazaar,
            fresh_key=map("fresh-{}".format, itertools.count(1)).__next__,
            hosts=Hosts(HOSTS),
            notice=lambda: self.bazaar.notice,
            partitions=partitions,
            entrance=self.entrance,
        )
        self.site = public_site(
            resource or routes.resource(),
            reactor or self.clock,
            self.clock.seconds,
            map("request-{}".format, itertools.count(1)).__next__,
            max_connections,
        )
        self.treq = StubTreq(self.site.resource)
        self.treq._agent._serverFactory = self.site

    def _nanoseconds(self) -> int:
        return round(self.clock.seconds() * 10**9)

    def begin(self, method: str, path: str, **options: Any) -> "Exchange":
        """Send a request that may stay unanswered for now. A body of bytes is called JSON,
        unless its headers say otherwise."""
        if isinstance(options.get("data"), bytes):
            json_body = {"Content-Type": "application/json"}
            options["headers"] = {**json_body, **options.get("headers", {})}
        response = self.treq.request(method, f"http://127.0.0.1{path}", **options)
        return Exchange(self, response)

    def ask(self, method: str, path: str, **options: Any) -> "Answer":
        return self.begin(method, path, **options).answer()

    def get(self, path: str, **headers: str) -> "Answer":
        return self.ask(
            "GET", path, headers={name.replace("_", "-"): headers[name] for name in headers}
        )

    def trade(self, side: str, quantity: int, name: str = "GameStart", **options: Any) -> "Answer":
        trade = {"name": name, "quantity": quantity, "type": side}
        return self.ask("POST", "/orders", json=trade, **options)

    def connect(self, peer: IPv4Address | None = None) -> "Connection":
        return Connection(self.site, peer)


class Answer:
    def __init__(self, response: Any, body: bytes) -> None:
        self.code: int = response.code
        self.phrase: bytes = response.phrase
        self.length: int | str = response.length
        """What Content-Length said; `UNKNOWN_LENGTH` if nothing."""
        self.body = body
        self.json = json.loads(body) if body else None
        self._headers = response.headers

    def header(self, name: str) -> str | None:
        values = self._headers.getRawHeaders(name)
        assert values is None or len(values) == 1
        return values[0] if values else None

    @property
    def reason(self) -> str:
        """The word for programs."""
        assert self.message
        reason = self.json["error"]["reason"]
        assert (reason, self.code) == (Reason.OUTCOME_UNKNOWN.word, ACCEPTED) or reason in {
            each.word for each in Reason if each.code == self.code
        }
        assert isinstance(reason, str)
        return reason

    @property
    def message(self) -> str:
        """The message of a failure. Checks the shape that every failure has."""
        assert self.header("content-type") == "application/json"
        assert "error" in self.json
        assert self.json["error"].keys() == {"code", "reason", "message"}
        assert self.json["error"]["code"] == self.code
        message = self.json["error"]["message"]
        assert isinstance(message, str)
        return message


class Exchange:
    """A request on its way."""

    def __init__(self, frontend: FrontEnd, response: Deferred[Any]) -> None:
        self._frontend = frontend
        self._responses: list[Any] = []
        response.addBoth(self._responses.append)

    @property
    def answered(self) -> bool:
        self._frontend.treq.flush()
        return bool(self._responses)

    def answer(self) -> Answer:
        assert self.answered, "there is no answer yet"
        [response] = self._responses
        bodies: list[bytes] = []
        self._frontend.treq.content(response).addCallback(bodies.append)
        self._frontend.treq.flush()
        [body] = bodies
        return Answer(response, body)


class Transport(StringTransport):
    """One that can be half closed, as a connection over TCP can."""

    half_closed = False
    aborting = False

    def abortConnection(self) -> None:  # noqa: N802
        self.aborting = True
        super().abortConnection()

    def loseWriteConnection(self) -> None:  # noqa: N802
        self.half_closed = True

    # As with TCP, both may be called once the connection is being closed.

    def unregisterProducer(self) -> None:  # noqa: N802
        self.producer = None

    def resumeProducing(self) -> None:
        if not self.disconnecting:
            super().resumeProducing()


class Connection:
    """One connection to the site, seen as bytes."""

    def __init__(self, site: BazaarSite, peer: IPv4Address | None = None) -> None:
        self.transport = Transport(peerAddress=peer)
        self.channel = site.buildProtocol(None)
        self.channel.makeConnection(self.transport)

    def send(self, data: bytes) -> bytes:
        """Send `data` and return what was answered since the last time."""
        self.transport.clear()
        self.channel.dataReceived(data)
        return self.transport.value()

    def hang_up(self) -> None:
        self.channel.connectionLost(Failure(ConnectionDone()))


@contextmanager
def failures_logged() -> Iterator[list[str]]:
    """The failures logged in the block, a line each; complete when it is left."""
    found: list[str] = []
    with capturedLogs() as events:
        yield found
        gc.collect()  # Deferreds log unhandled failures when they are collected
    for event in events:
        if "log_failure" in event or event.get("isError"):
            found.append(formatEvent(event))
