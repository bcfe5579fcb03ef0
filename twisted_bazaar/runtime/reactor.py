"""The type of the reactor."""

from twisted.internet.interfaces import (
    IReactorCore,
    IReactorPluggableNameResolver,
    IReactorProcess,
    IReactorSocket,
    IReactorTCP,
    IReactorThreads,
    IReactorTime,
)

__all__ = ["Reactor"]


class Reactor(
    IReactorCore,
    IReactorPluggableNameResolver,
    IReactorProcess,
    IReactorSocket,
    IReactorTCP,
    IReactorThreads,
    IReactorTime,
):
    """The interfaces of Twisted's reactor that the services use.

    It is an argument of everything that waits, connects or listens; only `makeService` names the
    global one. What only needs the time takes an `IReactorTime`, for which a test has a
    `twisted.internet.task.Clock`.
    """
