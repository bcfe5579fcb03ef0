"""What the services ask of Twisted's reactor, as one type."""

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
    """Handed to whatever waits, connects or listens; only `makeService` knows the global one.

    A test hands a `twisted.internet.task.Clock` to what only waits.
    """
