"""Calls to an engine end within their time, one after the other."""

from threading import Event
from typing import Any, cast

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from twisted_bazaar.engine.shared_log import Unknown
from twisted_bazaar.order.partitioned.call_thread import CallThread


class Silent:
    """A log whose server does not answer."""

    def __init__(self) -> None:
        self._cut = Event()
        self.closed = False
        self.calls: list[str] = []

    def wait(self, name: str) -> str:
        self.calls.append(name)
        assert self._cut.wait(20), "it was not cut"
        self._cut.clear()
        raise Unknown("cut")

    def answer(self, name: str) -> str:
        self.calls.append(name)
        return name

    def cut(self) -> None:
        self._cut.set()

    def close(self) -> None:
        self.closed = True


async def raises_unknown(answer: "Deferred[Any]") -> None:
    with pytest.raises(Unknown):
        await answer


@pytest_twisted.ensureDeferred
async def test_a_call_that_is_not_answered_ends_in_time_and_the_next_is_made() -> None:
    silent = Silent()
    thread = CallThread(cast(Any, reactor), "test", silent, 0.01)
    first = thread.call(lambda log: log.wait("first"))
    second = thread.call(lambda log: log.answer("second"))
    await raises_unknown(first)
    assert await second == "second"
    assert silent.calls == ["first", "second"]
    thread.stop()


@pytest_twisted.ensureDeferred
async def test_a_stop_ends_the_call_under_way_and_makes_no_other() -> None:
    silent = Silent()
    thread = CallThread(cast(Any, reactor), "test", silent, 60.0)
    calls = [thread.call(lambda log: log.wait("first")), thread.call(lambda log: log.answer("no"))]
    thread.stop()
    for each in (*calls, thread.call(lambda log: log.answer("no"))):
        await raises_unknown(each)
    assert "no" not in silent.calls
    assert silent.closed
