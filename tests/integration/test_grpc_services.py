"""Health and reflection of real catalogs and replicas, asked as any client of gRPC would."""

import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1.health_pb2 import (
    HealthCheckRequest,
    HealthCheckResponse,
    HealthListRequest,
)
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

from tests.fakes.certificates import FRONTEND

from .bazaar import Bazaar
from .inside import channel_to
from .replicas import leader
from .waiting import wait_until

REPLICAS = ("order-1", "order-2", "order-3")
SERVING, NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING
ORDERS, REPLICATION, CATALOG = (
    f"bazaar.v1.{each}" for each in ("Orders", "Replication", "Catalog")
)
SHARED = {
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
}
SOON = 20.0
STOP_SECONDS = 4.0
"""A stop waits for 5 s for calls that do not end."""
QUICK = [(f"grpc.{which}_reconnect_backoff_ms", 100) for which in ("initial", "min", "max")]
"""A replica that is back is found at once."""


@pytest.fixture(scope="module")
def bazaar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bazaar]:
    with Bazaar(tmp_path_factory.mktemp("grpc"), "--cache=off") as running:
        yield running


@pytest.fixture(scope="module")
def channels(bazaar: Bazaar) -> Iterator[dict[str, grpc.Channel]]:
    names = ("catalog", *REPLICAS)
    channels = {name: channel_to(bazaar, name, FRONTEND, *QUICK) for name in names}
    yield channels
    for channel in channels.values():
        channel.close()


def statuses(channel: grpc.Channel) -> dict[str, int]:
    listed = HealthStub(channel).List(HealthListRequest(), timeout=SOON).statuses
    return {name: each.status for name, each in listed.items()}


def test_each_service_says_what_it_serves(
    bazaar: Bazaar, channels: dict[str, grpc.Channel]
) -> None:
    assert statuses(channels["catalog"]) == {"": SERVING, CATALOG: SERVING}
    leads = leader(bazaar)
    for name in REPLICAS:
        assert statuses(channels[name]) == {
            "": SERVING,
            REPLICATION: SERVING,
            ORDERS: SERVING if name == leads else NOT_SERVING,
        }
        with pytest.raises(grpc.RpcError) as failed:
            HealthStub(channels[name]).Check(HealthCheckRequest(service=CATALOG), timeout=SOON)
        failure: Any = failed.value
        assert failure.code() is grpc.StatusCode.NOT_FOUND


def test_reflection_is_enough_to_call_every_service(channels: dict[str, grpc.Channel]) -> None:
    served = {**{name: {ORDERS, REPLICATION} for name in REPLICAS}, "catalog": {CATALOG}}
    for name, own in served.items():
        database = ProtoReflectionDescriptorDatabase(channels[name])
        pool = DescriptorPool(database)
        services = set(database.get_services())
        assert services == own | SHARED
        for service in services:
            for method in pool.FindServiceByName(service).methods:
                assert method.input_type.fields is not None
                assert method.output_type.full_name
    method = pool.FindServiceByName(CATALOG).methods_by_name["Lookup"]
    request = GetMessageClass(method.input_type)(names=["GameStart"])
    answer_class: Any = GetMessageClass(method.output_type)
    call = channels["catalog"].unary_unary(
        f"/{CATALOG}/Lookup",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=answer_class.FromString,
    )
    [stock] = call(request, timeout=SOON).stocks
    assert stock.name == "GameStart"


def test_both_versions_of_reflection_answer_one_request_after_the_other(
    channels: dict[str, grpc.Channel],
) -> None:
    asked = [
        ServerReflectionRequest(list_services=""),
        ServerReflectionRequest(file_containing_symbol=ORDERS),
        ServerReflectionRequest(file_containing_symbol="nope"),
    ]
    for version in ("v1", "v1alpha"):
        call = channels["order-1"].stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            request_serializer=ServerReflectionRequest.SerializeToString,
            response_deserializer=ServerReflectionResponse.FromString,
        )
        kinds = [each.WhichOneof("message_response") for each in call(iter(asked), timeout=SOON)]
        assert kinds == ["list_services_response", "file_descriptor_response", "error_response"]


class Watched:
    """Watches `Orders` of all replicas, on a thread for each, and again when a replica is back.
    Keeps who served at each moment."""

    def __init__(self, channels: dict[str, grpc.Channel]) -> None:
        self._lock = threading.Lock()
        self._stopped = False
        self.serving: set[str] = set()
        self.history: list[tuple[str, ...]] = []
        """Who served, after each change."""
        self.said: set[str] = set()
        """Who has said anything."""
        self._calls: dict[str, Any] = {}
        self._threads = [
            threading.Thread(target=self._watch, args=(name, channels[name]), daemon=True)
            for name in REPLICAS
        ]
        for thread in self._threads:
            thread.start()

    def _watch(self, name: str, channel: grpc.Channel) -> None:
        while not self._stopped:
            call = HealthStub(channel).Watch(HealthCheckRequest(service=ORDERS))
            self._calls[name] = call
            if self._stopped:  # meanwhile, and then nobody else cancels it
                call.cancel()
            try:
                for answer in call:
                    self._tell(name, answer.status == SERVING)
            except grpc.RpcError:
                self.lost(name)
                time.sleep(0.02)

    def _tell(self, name: str, serves: bool) -> None:
        with self._lock:
            self.said.add(name)
            before = len(self.serving)
            (self.serving.add if serves else self.serving.discard)(name)
            if len(self.serving) != before:
                self.history.append(tuple(sorted(self.serving)))

    def lost(self, name: str) -> None:
        self._tell(name, False)

    def stop(self) -> None:
        self._stopped = True
        for call in self._calls.values():
            call.cancel()
        for thread in self._threads:
            thread.join(SOON)
            assert not thread.is_alive()


def test_the_next_leader_serves_once_the_last_is_killed_and_never_two(
    bazaar: Bazaar, channels: dict[str, grpc.Channel]
) -> None:
    """The tolerance is none: a leader that was killed says nothing. (One that is cut off says that
    it serves for an election timeout, 0.3 s, and a look at it, 0.02 s, by when another may have won
    a later term.)"""
    first = leader(bazaar)
    watched = Watched(channels)
    try:
        wait_until(lambda: len(watched.said) == 3, "all have said something", SOON)
        assert watched.history == [(first,)]
        killed = bazaar.kill(first)
        wait_until(lambda: len(watched.history) >= 3, "another serves", SOON)
        bazaar.wait_restarted(first, killed)
        bazaar.wait_ready()
        second = leader(bazaar)
        wait_until(lambda: statuses_or_none(channels[first]), "the last leader is back", SOON)
        assert watched.history == [(first,), (), (second,)]
        assert second != first
    finally:
        watched.stop()


def statuses_or_none(channel: grpc.Channel) -> dict[str, int] | None:
    try:
        return statuses(channel)
    except grpc.RpcError:
        return None


def test_a_replica_that_is_told_to_stop_says_so_first_and_does_not_wait_for_watches(
    bazaar: Bazaar, channels: dict[str, grpc.Channel]
) -> None:
    call = HealthStub(channels["order-1"]).Watch(HealthCheckRequest(), timeout=2 * SOON)
    assert next(call).status == SERVING
    bazaar.kill("order-1", signal.SIGTERM)
    told = time.monotonic()
    assert next(call).status == NOT_SERVING
    with pytest.raises(grpc.RpcError):
        next(call)
    assert call.code() is grpc.StatusCode.UNAVAILABLE
    assert time.monotonic() - told < STOP_SECONDS
