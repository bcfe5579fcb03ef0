"""What is logged of a call names the requests that it is made for."""

from collections.abc import AsyncIterator

import pytest
import pytest_twisted
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure

from tests.fakes.grpc_world import World
from twisted_bazaar.errors import Malformed
from twisted_bazaar.rpc.request_ids import metadata_of, named_in


@pytest_twisted.async_yield_fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.stop()


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("error", [RuntimeError("a bug"), Malformed("not a trade")])
async def test_a_line_about_a_call_that_failed_names_its_requests(
    world: World, error: Exception, logged_failures: list[Failure]
) -> None:
    world.service.error = error
    with capturedLogs() as events:
        await world.fails(world.call("fail", metadata=metadata_of("mine bot/7")))
    logged_failures.clear()
    [line] = [formatEvent(event) for event in events if "/S/fail" in formatEvent(event)]
    assert "(request mine bot/7)" in line


def test_a_call_for_no_request_carries_none() -> None:
    assert metadata_of("") is None
    assert named_in([("user-agent", "grpc")]) == ""


def test_a_line_shows_some_of_many_ids() -> None:
    assert len(named_in([("x-request-id", "x" * 10_000)])) < 400
