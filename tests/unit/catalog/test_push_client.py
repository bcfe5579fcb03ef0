"""Pushes over real connections: to a front-end, and to servers that are none."""

import gc
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import tcp
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.task import deferLater

from tests.fakes.internal_endpoint import LIFE, PUSH, REPLY, TOKEN, InternalEndpoint
from tests.fakes.until import until
from tests.fakes.wrong_frontends import AT_ONCE, NEVER, OK, WHOLE, ServerFactory
from twisted_bazaar.catalog import push_client as catalog_push
from twisted_bazaar.catalog.push_client import MAX_REPLY_BYTES, PushClient
from twisted_bazaar.errors import Unavailable
from twisted_bazaar.http.connections import SECONDS, Phase
from twisted_bazaar.http.listener import Listener
from twisted_bazaar.rpc.push import MAX_PUSH_BYTES, Push, encode

SECRET = b"0123456789abcdef"
PATIENCE_S = 5.0
SHORT_S = 0.4
"""Long enough to connect and to be told something, and short enough to wait for."""


async def turn(seconds: float = 0.0) -> None:
    from twisted.internet import reactor

    await deferLater(reactor, seconds)  # type: ignore[arg-type]


async def unavailable(pushed: Deferred[Any]) -> str:
    """Why the push failed."""
    with pytest.raises(Unavailable) as why:
        await pushed
    gc.collect()  # Deferreds log unhandled failures when they are collected
    return str(why.value)


def connections() -> list[Any]:
    """The connections that this process has begun, and not closed."""
    from twisted.internet import reactor

    watched: set[Any] = {*reactor.getReaders(), *reactor.getWriters()}  # type: ignore[attr-defined]
    return [each for each in watched if isinstance(each, tcp.BaseClient)]


@contextmanager
def nothing_left() -> Iterator[None]:
    """Of what happens meanwhile nothing stays in the reactor."""
    from twisted.internet import reactor

    before = set(reactor.getDelayedCalls())  # type: ignore[attr-defined]
    yield
    assert connections() == []
    assert set(reactor.getDelayedCalls()) <= before  # type: ignore[attr-defined]


@pytest_twisted.async_yield_fixture
async def pusher_with() -> AsyncIterator[Callable[..., PushClient]]:
    """Makes a push client and starts it."""
    from twisted.internet import reactor

    started = []

    def start(timeout: float = PATIENCE_S, secret: bytes = b"") -> PushClient:
        pusher = PushClient(reactor, secret, timeout)
        pusher.startService()
        started.append(pusher)
        return pusher

    yield start
    await gatherResults([each.stopService() for each in started])


class Frontend:
    """A front-end's internal endpoint on a real port."""

    def __init__(self, secret: bytes = b"", interface: str = "127.0.0.1") -> None:
        from twisted.internet import reactor

        self.endpoint = InternalEndpoint(secret, reactor)
        self.subscriber = self.endpoint.subscriber
        kind = "tcp6" if ":" in interface else "tcp"
        interface = interface.replace(":", r"\:")
        listen = f"{kind}:0:interface={interface}"
        self.listener = Listener(reactor, listen, self.endpoint.site, "--internal")
        self.accepted = 0
        build = self.endpoint.site.buildProtocol

        def counted(address: Any) -> Any:
            self.accepted += 1
            return build(address)

        self.endpoint.site.buildProtocol = counted  # type: ignore[method-assign]

    @property
    def address(self) -> str:
        return str(self.listener.address)


@pytest_twisted.async_yield_fixture
async def frontend_with() -> AsyncIterator[Callable[..., Frontend]]:
    """Makes a front-end that listens."""
    started = []

    def start(*arguments: Any) -> Frontend:
        frontend = Frontend(*arguments)
        frontend.listener.startService()
        started.append(frontend.listener)
        return frontend

    yield start
    for each in started:
        await maybeDeferred(each.stopService)


# The two ends together


@pytest.mark.parametrize("secret", [b"", SECRET], ids=["token alone", "with a secret"])
@pytest_twisted.ensureDeferred
async def test_a_push_is_taken_in_and_answered(
    pusher_with: Any, frontend_with: Any, secret: bytes
) -> None:
    frontend = frontend_with(secret)
    reply = await pusher_with(secret=secret).push(frontend.address, TOKEN, PUSH)
    assert (reply, frontend.subscriber.taken) == (REPLY, [PUSH])


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
@pytest_twisted.ensureDeferred
async def test_an_address_may_be_of_either_kind_or_a_name(
    pusher_with: Any, frontend_with: Any, host: str
) -> None:
    frontend = frontend_with(b"", "::1" if host == "::1" else "127.0.0.1")
    port = frontend.listener.address.port
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    assert await pusher_with().push(address, TOKEN, PUSH) == REPLY


@pytest_twisted.ensureDeferred
async def test_the_largest_push_that_is_allowed_gets_there(
    pusher_with: Any, frontend_with: Any
) -> None:
    many = {f"Stock{number:05}": number for number in range(250_000)}
    frontend = frontend_with()
    assert (
        len(
            encode(
                large := Push(
                    life=LIFE, history="c0ffee", upto=12, floors=many, stamp=None, seconds=0.0
                )
            )
        )
        < MAX_PUSH_BYTES
    )
    assert await pusher_with().push(frontend.address, TOKEN, large) == REPLY
    assert frontend.subscriber.taken == [large]


@pytest_twisted.ensureDeferred
async def test_pushes_share_a_connection_also_after_failures(
    pusher_with: Any, frontend_with: Any
) -> None:
    frontend, pusher = frontend_with(), pusher_with()
    assert await pusher.push(frontend.address, TOKEN, PUSH) == REPLY
    another = Push(life=LIFE - 1, history="c0ffee", upto=12, floors={}, stamp=None, seconds=0.0)
    assert (await pusher.push(frontend.address, TOKEN, another)).stamp is None
    assert await pusher.push(frontend.address, TOKEN, PUSH) == REPLY
    assert frontend.accepted == 1
    assert frontend.subscriber.taken == [PUSH, PUSH]


@pytest_twisted.ensureDeferred
async def test_after_a_push_that_is_refused_the_next_one_gets_there(
    pusher_with: Any, frontend_with: Any
) -> None:
    """A push that is not expected is refused by its head, and the connection ends."""
    frontend, pusher = frontend_with(), pusher_with()
    assert "the answer was 403" in await unavailable(pusher.push(frontend.address, "", PUSH))
    assert await pusher.push(frontend.address, TOKEN, PUSH) == REPLY


def test_an_idle_connection_is_given_up_before_the_front_end_does() -> None:
    assert SECONDS[Phase.IDLE] > catalog_push.KEEP_SECONDS


@pytest_twisted.ensureDeferred
async def test_a_front_end_that_was_started_again_gets_the_push_after_next_at_the_latest(
    pusher_with: Any, frontend_with: Any
) -> None:
    pusher = pusher_with()
    frontend = frontend_with()
    address = frontend.address
    await pusher.push(address, TOKEN, PUSH)
    await frontend.listener.stopService()
    frontend.listener._endpoint = f"tcp:{address.partition(':')[2]}:interface=127.0.0.1"
    frontend.listener.startService()
    try:
        await pusher.push(address, TOKEN, PUSH)
    except Unavailable:
        await pusher.push(address, TOKEN, PUSH)
    assert frontend.subscriber.taken == [PUSH, PUSH]


# What may stand in a front-end's place


@pytest_twisted.async_yield_fixture
async def serving() -> AsyncIterator[Callable[..., ServerFactory]]:
    """Makes a server that answers with given bytes."""
    from twisted.internet import reactor

    started = []

    def start(answer: bytes = b"", then: str = "wait") -> ServerFactory:
        factory = ServerFactory(answer, then)
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")  # type: ignore[attr-defined]
        if then == "read no more":
            port.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        factory.address = f"127.0.0.1:{port.getHost().port}"
        started.append((factory, port))
        return factory

    yield start
    for factory, port in started:
        await maybeDeferred(port.stopListening)
        for each in list(factory.open):
            each.transport.abortConnection()  # type: ignore[union-attr]
        await until(lambda factory=factory: not factory.open)  # type: ignore[misc]


@pytest.mark.parametrize(("answer", "then"), AT_ONCE.values(), ids=AT_ONCE)
@pytest_twisted.ensureDeferred
async def test_what_is_no_answer_fails_the_push_at_once_and_is_not_asked_again(
    pusher_with: Any, serving: Any, answer: bytes, then: str
) -> None:
    server, pusher = serving(answer, then), pusher_with(PATIENCE_S)
    with nothing_left():
        begun = time.monotonic()
        why = await unavailable(pusher.push(server.address, TOKEN, PUSH))
        assert time.monotonic() - begun < PATIENCE_S / 2
        assert why.startswith(f"the push to '{server.address}' failed: ")
        assert not why.endswith(": ")
        assert "no answer in time" not in why
        await pusher.stopService()
    await until(lambda: not server.open)
    assert server.requests == 1
    assert server.written < 8 * 1024 * 1024, "what it sends is not taken"


@pytest.mark.parametrize(("answer", "then"), NEVER.values(), ids=NEVER)
@pytest_twisted.ensureDeferred
async def test_what_is_no_answer_in_time_fails_the_push_and_ends_the_connection(
    pusher_with: Any, serving: Any, answer: bytes, then: str
) -> None:
    server, pusher = serving(answer, then), pusher_with(SHORT_S)
    begun = time.monotonic()
    why = await unavailable(pusher.push(server.address, TOKEN, PUSH))
    assert SHORT_S <= time.monotonic() - begun < PATIENCE_S
    assert "no answer in time" in why
    await until(lambda: not server.open and not connections())
    assert server.requests <= 1


LARGE = Push(
    life=LIFE, history="x" * (MAX_PUSH_BYTES - 1000), upto=12, floors={}, stamp=None, seconds=0.0
)


@pytest.fixture
def small_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is sent and not read stays with the sender, as it does beyond a slow network."""
    create = tcp.BaseClient.createInternetSocket

    def created(client: Any) -> socket.socket:
        made = create(client)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        return made

    monkeypatch.setattr(tcp.BaseClient, "createInternetSocket", created)


@pytest.mark.usefixtures("small_buffers")
@pytest.mark.parametrize(
    "answer", [b"garbage\r\n\r\n", OK + b"Content-Length: 9999\r\n\r\n" + b"x" * 9999]
)
@pytest_twisted.ensureDeferred
async def test_one_that_answers_without_reading_does_not_keep_the_connection(
    pusher_with: Any, serving: Any, answer: bytes
) -> None:
    server, pusher = serving(answer, "read no more"), pusher_with()
    for _ in range(3):
        await unavailable(pusher.push(server.address, TOKEN, LARGE))
    await until(lambda: not connections())


@pytest.mark.usefixtures("small_buffers")
@pytest_twisted.ensureDeferred
async def test_stopping_does_not_wait_for_one_that_has_answered_without_reading(
    pusher_with: Any, serving: Any
) -> None:
    server, pusher = serving(WHOLE, "read no more"), pusher_with()
    with nothing_left():
        assert await pusher.push(server.address, TOKEN, LARGE) == REPLY
        assert len(connections()) == 1
        stopped = pusher.stopService()
        await until(lambda: bool(stopped.called))


@pytest_twisted.ensureDeferred
async def test_one_that_does_not_accept_fails_the_push_in_time(pusher_with: Any) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        others = [socket.socket() for _ in range(3)]
        for each in others:
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        begun = time.monotonic()
        address = f"127.0.0.1:{full.getsockname()[1]}"
        assert "no answer in time" in await unavailable(
            pusher_with(SHORT_S).push(address, TOKEN, PUSH)
        )
        assert time.monotonic() - begun < PATIENCE_S
        for each in others:
            each.close()
    assert connections() == []


@pytest_twisted.ensureDeferred
async def test_a_refused_connection_fails_the_push_at_once(pusher_with: Any, serving: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        address = f"127.0.0.1:{gone.getsockname()[1]}"
    pusher = pusher_with()
    with nothing_left():
        begun = time.monotonic()
        assert "refused" in await unavailable(pusher.push(address, TOKEN, PUSH))
        assert time.monotonic() - begun < PATIENCE_S / 2


@pytest.mark.parametrize("length", [MAX_REPLY_BYTES, MAX_REPLY_BYTES + 1])
@pytest_twisted.ensureDeferred
async def test_an_answer_is_bounded(pusher_with: Any, serving: Any, length: int) -> None:
    body = encode(REPLY).ljust(length)
    server = serving(OK + b"Content-Length: %d\r\n\r\n%b" % (length, body))
    pushed = pusher_with().push(server.address, TOKEN, PUSH)
    if length == MAX_REPLY_BYTES:
        assert await pushed == REPLY
    else:
        assert "the answer has more than 4096 bytes" in await unavailable(pushed)


@pytest_twisted.ensureDeferred
async def test_a_push_that_no_front_end_would_take_is_not_sent(
    pusher_with: Any, serving: Any
) -> None:
    server = serving(WHOLE)
    large = Push(
        life=LIFE, history="x" * MAX_PUSH_BYTES, upto=12, floors={}, stamp=None, seconds=0.0
    )
    assert "more than 6291456 bytes" in await unavailable(
        pusher_with().push(server.address, TOKEN, large)
    )
    assert server.open == []


@pytest.mark.parametrize(
    "address",
    [
        *["", "nope", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "x y:80", ":80"],
        *["127.0.0.1/x:{port}", "u@127.0.0.1:{port}", "127.0.0.1?x:{port}", "127.0.0.1#:{port}"],
        *["127.0.0.1:{port}/x", "http://127.0.0.1:{port}", "127.0.0.1\r\nX: 1:{port}"],
        *["ü:80", "\ud800:80", "x" * 100_000],
    ],
    ids=lambda address: ascii(address[:20]),
)
@pytest_twisted.ensureDeferred
async def test_an_address_that_is_none_leads_nowhere(
    pusher_with: Any, serving: Any, address: str
) -> None:
    server = serving(WHOLE)
    port = server.address.partition(":")[2]
    pushed = pusher_with().push(address.format(port=port), TOKEN, PUSH)
    assert pushed.called, "before anything is connected, or looked up"
    why = await unavailable(pushed)
    assert len(why) < 600
    assert "\n" not in why
    assert server.requests == 0


# Its end


@pytest_twisted.ensureDeferred
async def test_a_push_may_be_given_up(pusher_with: Any, serving: Any) -> None:
    server, pusher = serving(), pusher_with()
    pushed = pusher.push(server.address, TOKEN, PUSH)
    await until(lambda: server.requests == 1)
    pushed.cancel()
    assert "it was given up" in await unavailable(pushed)
    await until(lambda: not server.open and not connections())


@pytest_twisted.ensureDeferred
async def test_stopping_ends_what_is_under_way_and_leaves_nothing_in_the_reactor(
    pusher_with: Any, serving: Any
) -> None:
    silent, half, well = serving(), serving(WHOLE[:-1]), serving(WHOLE)
    pusher = pusher_with()
    with nothing_left():
        assert await pusher.push(well.address, TOKEN, PUSH) == REPLY
        pushes = [pusher.push(each.address, TOKEN, PUSH) for each in (silent, half)]
        await until(lambda: silent.requests == half.requests == 1)
        pushes.append(pusher.push(silent.address, TOKEN, PUSH))  # still connecting
        assert len(connections()) == 3
        stopped = pusher.stopService()
        for each in pushes:
            assert "it was given up" in await unavailable(each)
        await stopped
    assert "stopping" in await unavailable(pusher.push(well.address, TOKEN, PUSH))
    assert well.requests == 1


@pytest_twisted.ensureDeferred
async def test_pushes_leave_only_the_connections_that_are_kept(
    pusher_with: Any, serving: Any
) -> None:
    pusher, servers = pusher_with(), [serving(WHOLE) for _ in range(5)]
    for _ in range(3):
        twice = [*servers, *servers]
        await gatherResults([pusher.push(each.address, TOKEN, PUSH) for each in twice])
    await until(lambda: len(connections()) == len(servers))
    await until(lambda: [len(each.open) for each in servers] == [1] * 5)
