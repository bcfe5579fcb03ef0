"""Runs one command in Twisted's reactor, and exits with its status."""

import traceback
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn, cast

from twisted.internet import reactor as installed
from twisted.internet import task
from twisted.internet.defer import CancelledError, Deferred

from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.runtime.services import monotonic_seconds

from .arguments import refuse
from .errors import CannotRun, NotInTime
from .exit_codes import BROKE_DOWN, INTERRUPTED

__all__ = ["carry_out"]


def carry_out(start: Callable[[Reactor], Coroutine[Any, Any, int]]) -> NoReturn:
    """Run the coroutine that `start` makes, and exit with the status that it returns, or
    with `BROKE_DOWN` and a traceback if it raises an unexpected exception.

    Ctrl-C and SIGTERM cancel it, and wait until it has ended what it started.
    """
    reactor = cast(Reactor, installed)
    running = start(reactor)
    ended: Deferred[None] = Deferred()

    async def exit_with_status() -> None:
        try:
            status = await running
        except (CannotRun, NotInTime, OSError) as why:
            refuse(str(why))
        except CancelledError:
            status = INTERRUPTED
        except Exception:
            traceback.print_exc()
            status = BROKE_DOWN
        finally:
            ended.callback(None)
        raise SystemExit(status)

    def run(_: object) -> Deferred[None]:
        # Twisted would time its calls by the wall clock.
        reactor.seconds = monotonic_seconds  # type: ignore[method-assign]
        done = Deferred.fromCoroutine(exit_with_status())

        def interrupted() -> Deferred[None]:
            if not ended.called:
                done.cancel()
            return ended

        reactor.addSystemEventTrigger("before", "shutdown", interrupted)
        return done

    task.react(run)
    raise AssertionError("react exits")
