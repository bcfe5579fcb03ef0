"""Each request counts once, by the template of its route, and so do refused connections."""

from collections.abc import Callable, Mapping

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from tests.fakes.frontend_world import FrontEnd
from tests.fakes.internal_endpoint import Transport
from twisted_bazaar.http.figures import CLIENT_GONE, HttpFigures
from twisted_bazaar.http.site import BazaarRequest, BazaarSite
from twisted_bazaar.http.streaming import PIECE_BYTES
from twisted_bazaar.metrics.figures import Metrics

HEAD = b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
Counts = Mapping[tuple[str, ...], int]


class Scripted(Resource):
    """Answers as the test says."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.answer: Callable[[BazaarRequest], None] = lambda request: request.respond(b"{}")

    def render(self, request: BazaarRequest) -> int:
        request.route = "/stocks/<name>"
        self.answer(request)
        return NOT_DONE_YET


class World:
    """A site whose answers, and whose time, a test controls."""

    def __init__(self, max_connections: int = 10) -> None:
        self.clock = Clock()
        self.script = Scripted()
        self.site = BazaarSite(
            *(self.script, self.clock, self.clock.seconds, lambda: "request-1"),
            max_connections=max_connections,
            figures=HttpFigures(Metrics()),
        )

    def connect(self) -> "Client":
        return Client(self.site)

    @property
    def requests(self) -> Counts:
        return requests(self.site)

    @property
    def timed(self) -> Counts:
        return {key: each.count for key, each in self.site.figures.seconds.values.items()}

    @property
    def seconds(self) -> float:
        return sum(each.total for each in self.site.figures.seconds.values.values())


class Client:
    def __init__(self, site: BazaarSite) -> None:
        self.transport = Transport()
        self.channel = site.buildProtocol(None)
        assert self.channel is not None
        self.channel.makeConnection(self.transport)

    def send(self, sent: bytes) -> None:
        assert self.channel is not None
        self.channel.dataReceived(sent)

    def hang_up(self) -> None:
        assert self.channel is not None
        self.channel.connectionLost(Failure(ConnectionDone()))


def requests(site: BazaarSite) -> Counts:
    return {key: int(each.value) for key, each in site.figures.requests.values.items()}


STOCK = "/stocks/<name>", "GET"


def test_a_request_counts_once_and_takes_until_its_answer_is_written() -> None:
    world = World()
    waiting: list[BazaarRequest] = []
    world.script.answer = waiting.append
    client = world.connect()
    client.send(b"GET /stocks/GameStart HTTP/1.1\r\nHost: lo")
    world.clock.advance(1)  # a slow head is no work of the service
    client.send(b"calhost\r\n\r\n")
    assert world.requests == {}
    world.clock.advance(0.25)
    waiting.pop().respond(b"{}")
    assert world.requests == {(*STOCK, "200"): 1}
    assert (world.timed, world.seconds) == ({STOCK: 1}, 0.25)
    client.hang_up()
    assert world.requests == {(*STOCK, "200"): 1}


def test_requests_of_one_connection_each_count() -> None:
    world = World()
    client = world.connect()
    client.send(3 * (b"GET /stocks/GameStart" + HEAD))
    client.send(b"HEAD /stocks/GameStart" + HEAD)
    assert world.requests == {(*STOCK, "200"): 3, ("/stocks/<name>", "HEAD", "200"): 1}


def test_a_client_that_hangs_up_before_the_answer_counts_as_gone_and_is_not_timed() -> None:
    world = World()
    waiting: list[BazaarRequest] = []
    world.script.answer = waiting.append
    client = world.connect()
    client.send(b"GET /stocks/GameStart" + HEAD)
    client.hang_up()
    assert world.requests == {(*STOCK, str(CLIENT_GONE)): 1}
    waiting.pop().respond(b"{}")
    assert world.requests == {(*STOCK, str(CLIENT_GONE)): 1}
    assert world.timed == {}


def test_an_answer_that_is_broken_off_counts_as_gone_as_the_access_log_says() -> None:
    world = World()
    world.script.answer = lambda request: request.write(b"part")
    client = world.connect()
    client.send(b"GET /stocks/GameStart" + HEAD)
    client.hang_up()
    assert (world.requests, world.timed) == ({(*STOCK, str(CLIENT_GONE)): 1}, {})


def test_a_large_answer_counts_once_the_client_has_taken_it() -> None:
    world = World()
    world.script.answer = lambda request: request.respond(b"x" * (PIECE_BYTES + 1))
    client = world.connect()
    client.send(b"GET /stocks/GameStart" + HEAD)
    assert world.requests == {(*STOCK, "200"): 1}


class Endless:
    def end(self) -> None: ...
    def pauseProducing(self) -> None: ...
    def resumeProducing(self) -> None: ...
    def stopProducing(self) -> None: ...


def test_a_stream_counts_when_it_begins_and_is_not_timed() -> None:
    world = World()
    world.script.answer = lambda request: request.begin_stream(Endless())
    client = world.connect()
    client.send(b"GET /stocks/GameStart" + HEAD)
    assert world.requests == {(*STOCK, "200"): 1}
    world.clock.advance(60)
    client.hang_up()
    assert (world.requests, world.timed) == ({(*STOCK, "200"): 1}, {})


@pytest.mark.parametrize(
    ("sent", "method", "code"),
    [
        (b"GET /ping HTTP/1.1\r\n\r\n", "GET", "400"),  # no Host
        (b"GET /ping HTTP/1.1\r\nHost: a\r\n bad\r\n\r\n", "GET", "400"),
        (b"\x16\x03\x01\r\n", "other", "400"),
        (b"GET /" + b"a" * 20_000 + HEAD, "other", "414"),
    ],
)
def test_what_is_refused_before_it_is_routed_counts_as_other(
    sent: bytes, method: str, code: str
) -> None:
    world = World()
    client = world.connect()
    client.send(sent)
    client.hang_up()
    assert world.requests == {("other", method, code): 1}
    assert world.timed == {}


def test_a_connection_that_is_refused_is_no_request() -> None:
    world = World(max_connections=1)
    world.script.answer = lambda request: None
    world.connect().send(b"GET /stocks/GameStart" + HEAD)
    assert world.site.figures.refused_connections.value == 0
    world.connect()
    assert world.site.figures.refused_connections.value == 1
    assert world.requests == {}


def test_routes_count_by_their_templates_and_what_has_none_as_other() -> None:
    frontend = FrontEnd()
    for path in ("/stocks/GameStart", "/stocks/FishCo/", "/stocks/a%2Fb", "/nope", "//"):
        frontend.get(path)
    frontend.ask("DELETE", "/stocks/GameStart")
    frontend.ask("OPTIONS", "/stocks/GameStart")
    frontend.trade("buy", 1)
    frontend.get("/api/frontend_service/trade/stocks/GameStart")
    assert requests(frontend.site) == {
        (*STOCK, "200"): 2,
        (*STOCK, "404"): 1,
        ("other", "GET", "404"): 2,
        ("other", "DELETE", "405"): 1,
        ("other", "OPTIONS", "200"): 1,
        ("/orders", "POST", "200"): 1,
        ("/api/frontend_service/trade/stocks/<name>", "GET", "200"): 1,
    }


def test_no_client_can_make_more_labels() -> None:
    frontend = FrontEnd()
    for number in range(50):
        frontend.connect().send(b"M%d /stocks/GameStart" % number + HEAD)
        frontend.get(f"/path-{number}")
    assert set(requests(frontend.site)) == {("other", "other", "405"), ("other", "GET", "404")}
    assert len(frontend.site.figures._kept) == 1


def test_a_route_that_fails_counts_as_500(logged_failures: list[Failure]) -> None:
    frontend = FrontEnd()
    answer: Deferred[None] = succeed(None)
    answer.addCallback(lambda _: 1 / 0)
    frontend.bazaar.answer = answer
    frontend.get("/stocks/GameStart")
    assert requests(frontend.site) == {(*STOCK, "500"): 1}
    logged_failures.clear()
