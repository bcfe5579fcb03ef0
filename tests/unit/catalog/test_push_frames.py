"""Pushes in frames over real connections: beside HTTP on one port, and instead of it."""

from collections.abc import AsyncIterator, Callable
from random import Random
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import gatherResults, maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from tests.fakes.internal_endpoint import LIFE, PUSH, REPLY, TOKEN, InternalEndpoint
from tests.fakes.wrong_frontends import NEVER, ServerFactory
from tests.unit.catalog.test_push_client import nothing_left, unavailable, until
from twisted_bazaar.catalog import push_frames as module
from twisted_bazaar.catalog.push_client import PushClient
from twisted_bazaar.catalog.push_frames import PushFrames
from twisted_bazaar.frontend.cache.push_frames import BOUNDS
from twisted_bazaar.http.listener import Listener
from twisted_bazaar.rpc.frames.format import (
    ANSWER,
    GREETING,
    MAGIC,
    REFUSAL,
    Decoder,
    Greeting,
    encode_greeting,
    frame,
)
from twisted_bazaar.rpc.frames.greeter import CATALOG, FRONTEND, Greeter
from twisted_bazaar.rpc.push import (
    ANNOUNCEMENT_KIND,
    MAX_PUSH_BYTES,
    MAX_UNANNOUNCED_BYTES,
    PUSH_KIND,
    Push,
    announcement,
    encode,
    sign,
)

SECRET = b"0123456789abcdef"
BODY = encode(PUSH)
SIGNED = sign(SECRET, TOKEN, BODY) + BODY
PATIENCE_S = 5.0
GREETED = MAGIC + frame(
    0, GREETING, encode_greeting(Greeting(service=FRONTEND, sender=0, to=0, cluster=""))
)


def large(stocks: int) -> Push:
    floors = {f"Stock{number:05}": number for number in range(stocks)}
    return Push(life=LIFE, history="c0ffee", upto=12, floors=floors, stamp=None, seconds=0.0)


class Frontend:
    """A front-end's internal endpoint on a real port; without `frames`, of an earlier release."""

    def __init__(self, frames: bool, port: int) -> None:
        from twisted.internet import reactor

        self.endpoint = InternalEndpoint(SECRET, reactor, frames)
        self.subscriber = self.endpoint.subscriber
        listen = f"tcp:{port}:interface=127.0.0.1"
        self.listener = Listener(reactor, listen, self.endpoint.site, "--internal")
        self.posts = 0
        post = self.endpoint.site.resource.render

        def counted(request: Any) -> Any:
            self.posts += 1
            return post(request)

        self.endpoint.site.resource.render = counted
        self.listener.startService()
        self.endpoint.frame_server.startService()
        self.address = str(self.listener.address)

    @property
    def frames(self) -> Any:
        """The connections that speak frames."""
        return self.endpoint.frame_server.connections

    async def stop(self) -> None:
        await self.listener.stopService()
        await self.endpoint.frame_server.stopService()


@pytest_twisted.async_yield_fixture
async def frontend_with() -> AsyncIterator[Callable[..., Frontend]]:
    started = []

    def start(frames: bool = True, port: int = 0) -> Frontend:
        started.append(Frontend(frames, port))
        return started[-1]

    yield start
    for each in started:
        await each.stop()


@pytest_twisted.async_yield_fixture
async def pusher_with() -> AsyncIterator[Callable[..., PushClient]]:
    from twisted.internet import reactor

    started = []

    def start(timeout: float = PATIENCE_S) -> PushClient:
        greeter = Greeter(CATALOG, 0, lambda: "ours")
        frames = PushFrames(reactor, SECRET, greeter, Random(1))
        started.append(PushClient(reactor, SECRET, timeout, frames))
        started[-1].startService()
        return started[-1]

    yield start
    await gatherResults([maybeDeferred(each.stopService) for each in started if each.running])


class Caller(Protocol):
    """Says to a front-end what a test has it say."""

    def __init__(self) -> None:
        self.frames: list[tuple[int, int, bytes]] = []
        self.raw = b""
        self.lost = False
        self._decoder = Decoder(lambda *each: self.frames.append(each), MAX_PUSH_BYTES)
        self.out: Any = None

    def connectionMade(self) -> None:
        self.out = self.transport

    def dataReceived(self, data: bytes) -> None:
        self.raw += data
        if not self.raw.startswith(b"HTTP"):
            self._decoder.feed(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = True

    def answers(self) -> list[tuple[int, int]]:
        """Ids and kinds of what came after the greeting."""
        return [(id_, kind) for id_, kind, _ in self.frames[1:]]


async def call(frontend: Frontend, *said: bytes) -> Caller:
    from twisted.internet import reactor

    at = TCP4ClientEndpoint(reactor, "127.0.0.1", frontend.listener.address.port)
    caller: Any = await at.connect(Factory.forProtocol(Caller))
    for each in said:
        caller.out.write(each)
    assert isinstance(caller, Caller)
    return caller


# Which way a push takes


@pytest_twisted.ensureDeferred
async def test_pushes_go_in_frames_on_one_connection_to_a_front_end_that_takes_them(
    pusher_with: Any, frontend_with: Any
) -> None:
    frontend, pusher = frontend_with(), pusher_with()
    for _ in range(3):
        assert await pusher.push(frontend.address, TOKEN, PUSH, True) == REPLY
    assert frontend.subscriber.taken == [PUSH] * 3
    assert (frontend.posts, len(frontend.frames)) == (0, 1)


@pytest_twisted.ensureDeferred
async def test_a_front_end_that_has_not_said_that_it_takes_frames_gets_none(
    pusher_with: Any, frontend_with: Any
) -> None:
    frontend = frontend_with()
    assert await pusher_with().push(frontend.address, TOKEN, PUSH) == REPLY
    assert (frontend.posts, len(frontend.frames)) == (1, 0)


@pytest_twisted.ensureDeferred
async def test_what_speaks_http_only_at_the_address_is_pushed_to_over_http(
    pusher_with: Any, frontend_with: Any
) -> None:
    """A proxy is in between, or the front-end was replaced by one of an earlier release."""
    frontend, pusher = frontend_with(frames=False), pusher_with()
    for _ in range(3):
        assert await pusher.push(frontend.address, TOKEN, PUSH, True) == REPLY
    assert frontend.posts == 3
    assert frontend.subscriber.taken == [PUSH] * 3


@pytest_twisted.ensureDeferred
async def test_a_front_end_that_is_started_again_gets_the_next_push_at_once(
    pusher_with: Any, frontend_with: Any
) -> None:
    frontend, pusher = frontend_with(), pusher_with()
    assert await pusher.push(frontend.address, TOKEN, PUSH, True) == REPLY
    await frontend.stop()
    for _ in range(2):
        await unavailable(pusher.push(frontend.address, TOKEN, PUSH, True))
    again = frontend_with(port=int(frontend.address.rpartition(":")[2]))
    assert await pusher.push(frontend.address, TOKEN, PUSH, True) == REPLY
    assert again.posts == 0


@pytest_twisted.ensureDeferred
async def test_a_front_end_that_is_silent_fails_the_push_in_time(pusher_with: Any) -> None:
    from twisted.internet import reactor

    world: Any = reactor
    port: Any = world.listenTCP(0, ServerFactory(b"", NEVER), interface="127.0.0.1")
    pusher = pusher_with(0.2)
    try:
        began = world.seconds()
        at = f"127.0.0.1:{port.getHost().port}"
        assert "no answer in time" in await unavailable(pusher.push(at, TOKEN, PUSH, True))
        assert 0.2 <= world.seconds() - began < 0.2 + 1
    finally:
        await maybeDeferred(port.stopListening)
        await pusher.stopService()


@pytest_twisted.ensureDeferred
async def test_first_bytes_tell_in_whatever_pieces_they_come(frontend_with: Any) -> None:
    frontend = frontend_with()
    frames = [bytes((each,)) for each in GREETED + frame(1, PUSH_KIND, SIGNED)]
    post = [bytes((each,)) for each in frontend.endpoint.post(BODY)]
    for said in frames, post:
        caller = await call(frontend)
        for each in said:
            caller.out.write(each)
            await until(lambda: not caller.out.dataBuffer)  # noqa: B023
        await until(lambda: len(frontend.subscriber.taken) > 0)
        assert frontend.subscriber.taken.pop() == PUSH
        caller.out.loseConnection()
    assert frontend.posts == 1
    other = await call(frontend, b"BAZAR\r\n")
    await until(lambda: other.raw.startswith(b"HTTP/1.1 400"))


# Who may push


@pytest_twisted.ensureDeferred
async def test_a_push_in_a_frame_without_the_right_signature_has_no_effect(
    frontend_with: Any,
) -> None:
    frontend = frontend_with()
    of_another = sign(b"a guess", TOKEN, BODY) + BODY
    forged = [b"", BODY, of_another, SIGNED + b" ", sign(SECRET, "", BODY) + BODY]
    said = [frame(id_, PUSH_KIND, each) for id_, each in enumerate(forged, 1)]
    caller = await call(frontend, GREETED, *said, frame(9, PUSH_KIND, SIGNED))
    await until(lambda: len(caller.answers()) == len(forged) + 1)
    assert caller.answers() == [*((id_, REFUSAL) for id_ in range(1, 6)), (9, ANSWER)]
    assert frontend.subscriber.taken == [PUSH]
    caller.out.loseConnection()


@pytest_twisted.ensureDeferred
async def test_of_a_long_push_that_was_not_announced_nothing_is_kept(frontend_with: Any) -> None:
    frontend = frontend_with()
    body = encode(large(2000))
    signature = sign(SECRET, TOKEN, body)
    assert len(body) > MAX_UNANNOUNCED_BYTES
    push = frame(2, PUSH_KIND, signature + body)
    announced = announcement(SECRET, TOKEN, len(body), signature)
    for wrong in (
        [],
        [announcement(b"a guess", TOKEN, len(body), signature)],
        [announcement(SECRET, TOKEN, len(body) - 1, signature)],
        [bytes(4) + announced[4:]],
        [announcement(SECRET, TOKEN, MAX_PUSH_BYTES + 1, signature)],
    ):
        said = [frame(1, ANNOUNCEMENT_KIND, each) for each in wrong]
        caller = await call(frontend, GREETED, *said, push[:9])
        await until(lambda: caller.lost)  # noqa: B023
    caller = await call(frontend, GREETED, frame(1, ANNOUNCEMENT_KIND, announced), push)
    await until(lambda: caller.answers() == [(1, ANSWER), (2, ANSWER)])
    assert frontend.subscriber.taken == [large(2000)]
    # It is for one push.
    caller.out.write(frame(3, PUSH_KIND, signature + body)[:9])
    await until(lambda: caller.lost)


@pytest_twisted.ensureDeferred
async def test_the_largest_push_that_is_allowed_gets_there(
    pusher_with: Any, frontend_with: Any
) -> None:
    frontend, most = frontend_with(), large(250_000)
    assert MAX_PUSH_BYTES / 2 < len(encode(most)) < MAX_PUSH_BYTES
    pusher = pusher_with()
    for push in most, PUSH, most:
        assert await pusher.push(frontend.address, TOKEN, push, True) == REPLY
    assert frontend.subscriber.taken == [most, PUSH, most]
    assert (frontend.posts, len(frontend.frames)) == (0, 1)


@pytest_twisted.ensureDeferred
async def test_a_connection_that_brought_a_push_is_not_closed_for_others(
    frontend_with: Any,
) -> None:
    frontend = frontend_with()
    good = await call(frontend, GREETED, frame(1, PUSH_KIND, SIGNED))
    await until(lambda: good.answers() == [(1, ANSWER)])
    others = []
    for _ in range(BOUNDS.connections + 2):
        others.append(await call(frontend, GREETED, frame(1, PUSH_KIND, b"not signed")))
        await until(lambda: others[-1].answers() == [(1, REFUSAL)])
    await until(lambda: len(frontend.frames) == BOUNDS.connections)
    assert not good.lost
    assert sum(each.lost for each in others) == 3
    for each in (good, *others):
        each.out.loseConnection()


# The end of a channel


@pytest_twisted.ensureDeferred
async def test_a_channel_that_brings_no_push_is_closed(
    pusher_with: Any, frontend_with: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEEP_SECONDS", 0.05)
    frontend, pusher = frontend_with(), pusher_with()
    assert await pusher.push(frontend.address, TOKEN, PUSH, True) == REPLY
    await until(lambda: len(frontend.frames) == 0)
    assert await pusher.push(frontend.address, TOKEN, PUSH, True) == REPLY


@pytest_twisted.ensureDeferred
async def test_channels_are_bounded(
    pusher_with: Any, frontend_with: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_CHANNELS", 2)
    frontends, pusher = [frontend_with() for _ in range(3)], pusher_with()
    for each in frontends:
        assert await pusher.push(each.address, TOKEN, PUSH, True) == REPLY
    await until(lambda: [len(each.frames) for each in frontends] == [0, 1, 1])


@pytest_twisted.ensureDeferred
async def test_stopping_fails_what_is_under_way_and_leaves_nothing_in_the_reactor(
    pusher_with: Any, frontend_with: Any
) -> None:
    frontend = frontend_with()
    with nothing_left():
        pusher = pusher_with()
        assert await pusher.push(frontend.address, TOKEN, PUSH, True) == REPLY
        pushed = pusher.push(frontend.address, TOKEN, PUSH, True)
        stopped = pusher.stopService()
        assert "stopping" in await unavailable(pushed)
        await stopped
        await until(lambda: len(frontend.frames) == 0)
