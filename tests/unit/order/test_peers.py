"""Replicas that call each other in frames, and by gRPC those of an earlier release."""

import errno
from collections.abc import Callable
from random import Random
from typing import Any, cast

import pytest
import pytest_twisted
from msgspec.structs import replace
from twisted.internet.defer import Deferred, execute, fail, maybeDeferred, succeed
from twisted.python.failure import Failure

from tests.fakes.frame_world import World
from tests.fakes.histories import sends
from tests.fakes.leaks import nothing_leaks  # noqa: F401
from tests.fakes.member import TIMING, append, entries_of
from twisted_bazaar.consensus.messages import (
    AppendReply,
    Fetch,
    FetchReply,
    MarketSnapshot,
    Poll,
    PollReply,
    Vote,
    VoteReply,
)
from twisted_bazaar.errors import Damaged, Malformed, NotOurs, Unavailable
from twisted_bazaar.order.neighbours import Catalog, Peer
from twisted_bazaar.order.transport import OrderTransport
from twisted_bazaar.rpc.frames import exchanges
from twisted_bazaar.rpc.frames.channel import NotFrames
from twisted_bazaar.rpc.frames.exchanges import (
    APPLYING,
    REPLICATION,
    encode,
    encodes_at_once,
    methods,
)
from twisted_bazaar.rpc.frames.format import Greeting, Welcome
from twisted_bazaar.rpc.frames.greeter import ORDER
from twisted_bazaar.rpc.frames.server import FrameServer
from twisted_bazaar.runtime.address import Address

LOG = tuple(entries_of(1, 1))
APPEND = append(2, LOG)
APPENDED = AppendReply(term=2, follower=2, fits=True, index=2, round=7, sent=1.5)
FETCHED = FetchReply(replica=2, term=2, after=0, fits=True, entries=LOG, last_index=2, last_term=1)
UNREADABLE = [
    Damaged("log/0.jsonl line 3: the checksum does not fit"),
    OSError(errno.EIO, "Input/output error"),
]


class Stored(list[Any]):
    """Entries that are on disk."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__(LOG)
        self._error = error

    def __iter__(self) -> Any:
        if self._error is not None:
            raise self._error
        return super().__iter__()


class Ways:
    """To a peer: in frames, and by gRPC. Nothing blocks but what is given to `blocking`."""

    def __init__(self) -> None:
        self.frames: list[tuple[int, bytes, float]] = []
        self.by_grpc: list[float] = []
        self.retries = 0
        self.blocked: list[str] = []
        self.answer: Callable[[], Deferred[Any]] = lambda: succeed(encode(APPENDED))
        self.grpc_answer: Callable[[], Deferred[Any]] = lambda: succeed(APPENDED)
        self.peer = Peer(cast(Any, self), cast(Any, _Grpc(self)), self.blocking, TIMING)

    def call(self, kind: int, body: bytes, timeout: float) -> Deferred[bytes]:
        self.frames.append((kind, body, timeout))
        return self.answer()

    def retry(self) -> None:
        self.retries += 1

    def blocking(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        self.blocked.append(function.__name__)
        return execute(function, *args)


class _Grpc:
    def __init__(self, ways: Ways) -> None:
        self._ways = ways
        self.grpc = self

    def unary_unary(self, *args: Any, **kwargs: Any) -> Any:
        return None

    def call(self, ask: Any, timeout: float, rpc: Any) -> Deferred[Any]:
        self._ways.by_grpc.append(timeout)
        return self._ways.grpc_answer()


def outcome(asked: Deferred[Any]) -> Any:
    """What it fires with, or fails with."""
    got: list[Any] = []
    asked.addCallbacks(got.append, lambda failure: got.append(failure.value))
    return got[0]


def test_a_peer_is_called_in_frames() -> None:
    ways = Ways()
    assert outcome(ways.peer.ask(APPEND)) == APPENDED
    assert ways.frames == [(1, encode(APPEND), TIMING.election_timeout)]
    assert (ways.by_grpc, ways.blocked) == ([], [])


def test_a_reply_that_makes_no_sense_is_as_good_as_none() -> None:
    ways = Ways()
    for body in (b"\xff", encode(replace(APPENDED, term=-1))):
        ways.answer = lambda body=body: succeed(body)  # type: ignore[misc]
        told = outcome(ways.peer.ask(APPEND))
        assert type(told) is Unavailable
        assert "makes no sense" in str(told)


def test_a_peer_of_an_earlier_release_is_called_by_grpc() -> None:
    ways = Ways()
    ways.answer = lambda: fail(NotFrames("it has gRPC only"))
    assert outcome(ways.peer.ask(APPEND)) == APPENDED
    assert ways.by_grpc == [TIMING.election_timeout]
    assert ways.retries == 0
    ways.grpc_answer = lambda: fail(Unavailable("it restarts"))
    assert str(outcome(ways.peer.ask(APPEND))) == "it restarts"
    assert ways.retries == 1, "it may come back with frames"


@pytest.mark.parametrize("error", [Unavailable("lost"), NotOurs("another replica")])
def test_any_other_error_is_not_tried_again_by_grpc(error: Exception) -> None:
    ways = Ways()
    ways.answer = lambda: fail(error)
    assert outcome(ways.peer.ask(APPEND)) is error
    assert ways.by_grpc == []


def test_entries_on_disk_are_not_read_on_the_reactor() -> None:
    ways = Ways()
    assert outcome(ways.peer.ask(replace(APPEND, entries=Stored()))) == APPENDED
    assert ways.blocked == ["encode"]
    assert ways.frames[0][1] == encode(APPEND)


def test_proposals_on_disk_are_not_read_on_the_reactor() -> None:
    apply = sends(LOG, 0, 1)
    assert encodes_at_once(apply)
    assert not encodes_at_once(replace(apply, proposed=Stored()))


def test_a_snapshot_is_not_encoded_on_the_reactor_and_may_take_longer() -> None:
    """All stocks may be in it: if it were given up while it is taken in, it would be sent again and
    again."""
    ways = Ways()
    catalog = Catalog(cast(Any, ways), cast(Any, _Grpc(ways)), ways.blocking, TIMING)
    snapshot = MarketSnapshot(index=1, digest=LOG[0].digest, stocks=(), last_number=0)
    apply = replace(sends(LOG, 1, 2, rebuild=True), snapshot=snapshot)
    catalog.ask(sends(LOG, 0, 1)).addErrback(lambda _: None)
    assert ways.blocked == []
    catalog.ask(apply).addErrback(lambda _: None)
    assert ways.blocked == ["encode"]
    [entries, whole] = [timeout for _, _, timeout in ways.frames]
    assert entries == TIMING.election_timeout < whole


@pytest.mark.parametrize("error", UNREADABLE)
def test_entries_that_cannot_be_read_are_not_taken_for_a_silent_peer(error: Exception) -> None:
    ways = Ways()
    assert outcome(ways.peer.ask(replace(APPEND, entries=Stored(error)))) is error
    assert ways.frames == []


def test_a_long_message_is_not_decoded_on_the_reactor(monkeypatch: pytest.MonkeyPatch) -> None:
    ways, node = Ways(), Node(APPENDED)
    monkeypatch.setattr(exchanges, "_MAX_BYTES_AT_ONCE", 10)
    assert outcome(ways.peer.ask(APPEND)) == APPENDED
    assert ways.blocked == ["_decode_reply"]
    assert node.ask(1, encode(APPEND)) == encode(APPENDED)
    assert node.blocked == ["decode"]
    assert node.requests == [APPEND]


# Serving.


class Node:
    """As much of an order node as peers need."""

    def __init__(self, reply: Any) -> None:
        self.reply = reply
        self.requests: list[Any] = []
        self.unreadable: list[Exception] = []
        self.blocked: list[str] = []

    def request(self, message: Any) -> Deferred[Any]:
        self.requests.append(message)
        if isinstance(self.reply, Exception):
            return fail(self.reply)
        return succeed(self.reply)

    def cannot_read(self, error: Exception) -> None:
        self.unreadable.append(error)

    def blocking(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        self.blocked.append(getattr(function, "__name__", ""))
        return execute(function, *args)

    def ask(self, kind: int, body: bytes) -> Any:
        served = methods(REPLICATION, self.request, self.blocking, self.cannot_read)
        return outcome(maybeDeferred(served[kind].answer, body))


def test_kinds_are_never_given_to_another_request() -> None:
    assert {each.name: each.kind for each in (*REPLICATION, *APPLYING)} == {
        "Append": 1,
        "Vote": 2,
        "Poll": 3,
        "Fetch": 4,
        "Apply": 5,
    }


def test_a_request_is_stepped_and_answered() -> None:
    node = Node(APPENDED)
    assert node.ask(1, encode(APPEND)) == encode(APPENDED)
    assert node.requests == [APPEND]
    assert node.blocked == []


@pytest.mark.parametrize("body", [b"\xff", encode(replace(APPEND, term=2**53))])
def test_a_request_that_makes_no_sense_is_refused(body: bytes) -> None:
    node = Node(APPENDED)
    assert type(node.ask(1, body)) is Malformed
    assert node.requests == []


def test_what_the_node_refuses_is_refused() -> None:
    assert type(Node(NotOurs("another")).ask(1, encode(APPEND))) is NotOurs


def test_a_reply_with_entries_on_disk_is_not_encoded_on_the_reactor() -> None:
    node = Node(replace(FETCHED, entries=Stored()))
    fetch = encode(Fetch(replica=1, after=0, digest="0" * 32))
    assert node.ask(4, fetch) == encode(FETCHED)
    assert node.blocked == ["encode"]


@pytest.mark.parametrize("error", UNREADABLE)
def test_a_replica_that_cannot_read_its_log_ends(error: Exception) -> None:
    node = Node(replace(FETCHED, entries=Stored(error)))
    fetch = encode(Fetch(replica=1, after=0, digest="0" * 32))
    assert type(node.ask(4, fetch)) is Unavailable
    assert node.unreadable == [error]


# Who is at the other end.


def transport(world: World, replica: int, peers: dict[int, int]) -> OrderTransport:
    """That of `replica`, with the ports of its `peers`."""
    made = OrderTransport(world.reactor, replica, lambda: "ours", (), Random(1))
    for peer, port in peers.items():
        made.dial(peer, Address("127.0.0.1", port))
    return made


@pytest.fixture
def world() -> Any:
    world = World()
    yield world
    pytest_twisted.blockon(Deferred.fromCoroutine(world.stop()))


def test_a_greeting_is_refused_by_another_replica_or_service_and_welcome_from_any_cluster(
    world: World,
) -> None:
    second = transport(world, 2, {})
    first = transport(world, 1, {2: 1})
    greeter = first._greeter
    greeting = greeter.greeting(ORDER, 2)
    assert greeting == Greeting(service="order", sender=1, to=2, cluster="ours")
    welcome = second.welcome(replace(greeting, cluster="theirs"))
    assert welcome == Welcome(service="order", sender=2, cluster="ours", version=1)
    assert greeter.mistake(ORDER, 2, welcome) is None
    assert greeter.mistake(ORDER, 3, welcome) == (
        "what answers at the address of replica 3 is replica 2"
    )
    theirs = replace(welcome, service="catalog")
    assert "is of service catalog" in str(greeter.mistake(ORDER, 2, theirs))
    for _ in range(3):
        refused = second.welcome(greeter.greeting(ORDER, 3)).refusal
        assert refused == "this is replica 2, not replica 3"
    assert [line for line in world.said if "refused" in line] == [
        f"warn: a connection is refused: {refused}"
    ]
    assert (
        "this is replica 2 of service order"
        in second.welcome(replace(greeting, service="x")).refusal
    )


@pytest_twisted.ensureDeferred
async def test_two_replicas_exchange_every_message_over_a_connection(world: World) -> None:
    second = transport(world, 2, {})
    node = Node(None)
    server = FrameServer(
        world.reactor,
        methods(REPLICATION, node.request, node.blocking, node.cannot_read),
        second.welcome,
        Random(1),
    )
    world.factory = server.connections
    world.listen()
    first = transport(world, 1, {2: world.port, 3: world.port})
    first.startService()
    peers = {
        to: Peer(first.peers[to], cast(Any, _Grpc(Ways())), node.blocking, TIMING) for to in (2, 3)
    }
    exchanges = [
        (APPEND, APPENDED),
        (
            Vote(term=2, candidate=1, last_index=2, last_term=1, members=(1, 2, 3)),
            VoteReply(term=2, voter=2, granted=True),
        ),
        (
            Poll(replica=1, nonce=9, to=2),
            PollReply(replica=2, term=2, last_index=2, last_term=1, leader=0, wait=0.25, nonce=9),
        ),
        (Fetch(replica=1, after=0, digest="0" * 32), FETCHED),
    ]
    for request, node.reply in exchanges:
        assert await peers[2].ask(request) == node.reply
    assert node.requests == [request for request, _ in exchanges]
    told: list[Failure] = []
    peers[3].ask(APPEND).addErrback(told.append)
    await world.until(lambda: told)
    assert told[0].type is NotOurs
    assert str(told[0].value).endswith(": this is replica 2, not replica 3")
    await cast(Any, first.stopService())
    await server.stopService()


def test_a_replica_that_connects_is_connected_to_at_once(world: World) -> None:
    first = transport(world, 1, {2: 1, 3: 1})
    retried: list[int] = []
    for peer, channel in first.peers.items():
        channel.retry = lambda peer=peer: retried.append(peer)  # type: ignore[misc, method-assign]
    first.welcome(Greeting(service="order", sender=2, to=1, cluster=""))
    first.welcome(Greeting(service="order", sender=9, to=1, cluster=""))
    first.welcome(Greeting(service="order", sender=3, to=2, cluster=""))
    assert retried == [2]


@pytest_twisted.ensureDeferred
async def test_a_peer_that_is_a_member_no_more_is_called_no_more(world: World) -> None:
    first = transport(world, 1, {2: 1})
    first.startService()
    channel = first.peers[2]
    first.drop(2)
    assert not first.peers
    with pytest.raises(Unavailable, match="stopping"):
        await channel.call(1, b"", 1.0)
    again = first.dial(2, Address("127.0.0.1", 1))
    assert again.running
    await cast(Any, first.stopService())
