"""`grpc.health.v1` on a fake transport and clock."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from grpc_health.v1.health_pb2 import (
    HealthCheckRequest,
    HealthCheckResponse,
    HealthListRequest,
    HealthListResponse,
)
from twisted.internet.task import Clock

from tests.fakes.grpc_peer import Peer
from twisted_bazaar.rpc.health import Health, HealthEnd
from twisted_bazaar.rpc.serving.framing import PREFIX_BYTES, framed

NOT_FOUND = 5
SERVING, NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING
UNKNOWN = HealthCheckResponse.SERVICE_UNKNOWN
LOOK = 0.02


class World:
    """A service `one` that a test switches on, and a client."""

    def __init__(self) -> None:
        self.serves = False
        self.looks = 0
        self.clock = Clock()
        self.health = Health(self.clock, {"one": self._serves}, LOOK)  # type: ignore[arg-type]
        encode = HealthCheckResponse.SerializeToString
        decode: Any = HealthCheckRequest.FromString
        self.peer = Peer(
            Check=grpc.unary_unary_rpc_method_handler(self.health.Check, decode, encode),
            List=grpc.unary_unary_rpc_method_handler(
                self.health.List,
                HealthListRequest.FromString,
                HealthListResponse.SerializeToString,
            ),
            Watch=grpc.unary_stream_rpc_method_handler(self.health.Watch, decode, encode),
        )

    def _serves(self) -> bool:
        self.looks += 1
        return self.serves

    def check(self, service: str) -> int | None:
        """The status that `Check` says; None: NOT_FOUND."""
        answer = self.peer.answer(asking(service), "Check")
        if answer.status == NOT_FOUND:
            return None
        assert answer.status == 0
        return HealthCheckResponse.FromString(answer.message[PREFIX_BYTES:]).status

    def watch(self, service: str) -> int:
        stream = self.peer.call(asking(service), "Watch")
        self.peer.pump()
        return stream

    def pass_time(self, seconds: float = LOOK) -> None:
        self.clock.advance(seconds)
        self.peer.pump()

    def told(self, stream: int) -> list[int]:
        """All that `Watch` has said."""
        data, statuses = self.peer.answers[stream].message, []
        while data:
            length = PREFIX_BYTES + int.from_bytes(data[1:PREFIX_BYTES], "big")
            statuses.append(HealthCheckResponse.FromString(data[PREFIX_BYTES:length]).status)
            data = data[length:]
        return statuses


def asking(service: str) -> bytes:
    return HealthCheckRequest(service=service).SerializeToString()


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.peer.server.connectionLost()
    assert world.clock.getDelayedCalls() == []


def test_a_check_says_what_serves_at_that_moment(world: World) -> None:
    assert world.check("") == SERVING
    assert world.check("one") == NOT_SERVING
    world.serves = True
    assert world.check("one") == SERVING
    assert world.check("another") is None


def test_a_list_has_all_services_and_the_process(world: World) -> None:
    world.serves = True
    answer = world.peer.answer(b"", "List")
    statuses = HealthListResponse.FromString(answer.message[PREFIX_BYTES:]).statuses
    assert {name: each.status for name, each in statuses.items()} == {"": SERVING, "one": SERVING}


def test_a_watch_is_told_the_status_and_each_change_once(world: World) -> None:
    streams = [world.watch(each) for each in ("one", "", "one")]
    for world.serves in (True, True, False, True):
        world.pass_time()
    changes = [NOT_SERVING, SERVING, NOT_SERVING, SERVING]
    assert [world.told(each) for each in streams] == [changes, [SERVING], changes]


def test_a_watch_of_a_service_that_is_not_known_goes_on(world: World) -> None:
    stream = world.watch("another")
    world.pass_time()
    assert world.told(stream) == [UNKNOWN]
    assert not world.peer.answers[stream].ended


def test_services_are_looked_at_only_while_there_is_a_watch(world: World) -> None:
    world.pass_time(1.0)
    assert world.looks == 0
    streams = [world.watch("one") for _ in range(2)]
    world.peer.h2.reset_stream(streams[0])
    world.peer.pump()
    world.serves = True
    world.pass_time()
    assert world.told(streams[1]) == [NOT_SERVING, SERVING]
    world.peer.h2.reset_stream(streams[1])
    world.peer.pump()
    looks = world.looks
    world.pass_time(1.0)
    assert world.looks == looks
    stream = world.watch("one")
    assert world.told(stream) == [SERVING]


def test_a_client_that_reads_nothing_is_told_the_latest_when_it_reads(world: World) -> None:
    stream = world.watch("one")
    world.peer.server.pauseProducing()
    for world.serves in (True, False, True):
        world.pass_time()
    world.peer.server.resumeProducing()
    world.peer.pump()
    assert world.told(stream) == [NOT_SERVING, SERVING]
    world.serves = False
    world.pass_time()
    assert world.told(stream) == [NOT_SERVING, SERVING, NOT_SERVING]


def test_at_a_stop_watches_are_told_before_anything_else_happens(world: World) -> None:
    world.serves = True
    streams = [world.watch("one"), world.watch("")]
    written = len(world.peer.transport.writes)
    HealthEnd(world.health).stopService()
    assert len(world.peer.transport.writes) == written + 2
    world.peer.pump()
    assert [world.told(each) for each in streams] == [[SERVING, NOT_SERVING]] * 2
    assert world.check("") == world.check("one") == NOT_SERVING
    assert world.told(world.watch("one")) == [NOT_SERVING]


def test_the_empty_request_and_the_answer_are_what_a_probe_takes_them_for(world: World) -> None:
    assert asking("") == b""
    assert world.peer.answer(b"", "Check").message == framed(b"\x08\x01")
