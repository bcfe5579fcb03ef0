"""The gRPC service `grpc.health.v1.Health`: which services of this process can be called now.

Whether one serves is asked for with each `Check` and `List`, and several times a heartbeat while
there is a `Watch`. A watch is told the latest status: one that lasted for less than that, or while
its client did not read, is left out.
"""

from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from typing import TypeAlias

import grpc
from grpc_health.v1.health_pb2 import (
    HealthCheckRequest,
    HealthCheckResponse,
    HealthListRequest,
    HealthListResponse,
)
from grpc_health.v1.health_pb2_grpc import HealthServicer
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from .serving.context import Context

__all__ = ["HEALTH", "Health", "HealthEnd"]

HEALTH = "grpc.health.v1.Health"

_LOOK_SECONDS = 0.02
"""How often the services are looked at while they are watched."""

_SERVING = HealthCheckResponse.SERVING
_NOT_SERVING = HealthCheckResponse.NOT_SERVING
_UNKNOWN = HealthCheckResponse.SERVICE_UNKNOWN

_Status: TypeAlias = HealthCheckResponse.ServingStatus


class Health(HealthServicer):
    """The health of one process, and of its gRPC services. On the reactor's thread."""

    def __init__(
        self,
        reactor: IReactorTime,
        services: Mapping[str, Callable[[], bool]],
        look_seconds: float = _LOOK_SECONDS,
    ) -> None:
        """`services` say of each full name whether that service can be called with success now.
        The empty name, of the process, is added: it serves until `stop`."""
        self.services: Collection[str] = list(services)
        """The full names, without the process's."""
        self._serves: Mapping[str, Callable[[], bool]] = {"": lambda: True, **services}
        self._stopped = False
        self._seen: Mapping[str, _Status] = {}
        """What watches are told."""
        self._watches = 0
        self._waiting: list[Deferred[None]] = []
        self._looking = LoopingCall(self._look)
        self._looking.clock = reactor
        self._look_seconds = look_seconds

    def stop(self) -> None:
        """From now on nothing serves; watches are told before this returns."""
        self._stopped = True
        if self._watches:
            self._look()

    def _statuses(self) -> Mapping[str, _Status]:
        return {name: self._status(serves) for name, serves in self._serves.items()}

    def _status(self, serves: Callable[[], bool]) -> _Status:
        return _SERVING if not self._stopped and serves() else _NOT_SERVING

    def _look(self) -> None:
        seen = self._statuses()
        if seen != self._seen:
            self._seen = seen
            waiting, self._waiting = self._waiting, []
            for watch in waiting:
                watch.callback(None)

    def Check(self, request: HealthCheckRequest, context: Context) -> HealthCheckResponse:
        serves = self._serves.get(request.service)
        if serves is None:
            context.abort(grpc.StatusCode.NOT_FOUND, f"no service {request.service:.100} here")
        return HealthCheckResponse(status=self._status(serves))

    def List(self, request: HealthListRequest, context: Context) -> HealthListResponse:
        statuses = self._statuses().items()
        return HealthListResponse(
            statuses={name: HealthCheckResponse(status=status) for name, status in statuses}
        )

    async def Watch(
        self, request: HealthCheckRequest, context: Context
    ) -> AsyncGenerator[HealthCheckResponse, None]:
        told: _Status | None = None
        self._begin_watch()
        try:
            while True:
                status = self._seen.get(request.service, _UNKNOWN)
                if status != told:
                    told = status
                    yield HealthCheckResponse(status=status)
                else:
                    change: Deferred[None] = Deferred(self._waiting.remove)
                    self._waiting.append(change)
                    await change
        finally:
            self._end_watch()

    def _begin_watch(self) -> None:
        self._look()
        self._watches += 1
        if not self._looking.running:
            self._looking.start(self._look_seconds, now=False)

    def _end_watch(self) -> None:
        self._watches -= 1
        if not self._watches:
            self._looking.stop()


class HealthEnd(Service):
    """Says that nothing serves any more, before the server stops."""

    def __init__(self, health: Health) -> None:
        self._health = health

    def stopService(self) -> None:
        super().stopService()
        self._health.stop()
