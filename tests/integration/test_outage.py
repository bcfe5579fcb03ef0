"""What clients are told while no order replica answers: all of them are halted, none is lost."""

import os
import signal
from collections.abc import Callable, Iterator

import pytest
import pytest_twisted

from .bazaar import Bazaar
from .web_client import assert_refused, web_client

SHORT_DEADLINE_SECONDS = 1.5


@pytest.fixture
def halted(start_bazaar: Callable[..., Bazaar]) -> Iterator[tuple[Bazaar, Callable[[int], None]]]:
    """A bazaar with short deadlines, and what sends all its order replicas a signal."""
    bazaar = start_bazaar("--cache=off", f"--deadline={SHORT_DEADLINE_SECONDS}")

    def send(number: int) -> None:
        for replica in 1, 2, 3:
            os.kill(bazaar.process_id(f"order-{replica}"), number)

    yield bazaar, send
    send(signal.SIGCONT)


@pytest_twisted.ensureDeferred
async def test_an_unknown_outcome_is_202_and_names_the_key_to_send_again(
    halted: tuple[Bazaar, Callable[[int], None]],
) -> None:
    bazaar, send = halted
    async with web_client(bazaar.url) as web:
        for attempt in range(1, 6):
            send(signal.SIGSTOP)
            reply = await web.trade("buy", 5, "GameStart")
            # By now no lease holds: no service can tell whether a quantity is current.
            assert_refused(await web.get("/stocks/GameStart"), 503)
            assert_refused(await web.get("/readyz"), 503, "not ready: no order replica leads")
            assert (await web.get("/livez")).code == 200
            send(signal.SIGCONT)
            if reply.code == 202:
                break
            # On a machine that slow the leader was missed before the trade came.
            assert_refused(reply, 503, "the trade was not executed")
            assert reply.header("Retry-After") == "1"
            bazaar.wait_ready()
            assert attempt < 5, "no trade was ever under way when the replicas halted"
        key = reply.header("Idempotency-Key")
        assert reply.json["error"]["reason"] == "outcome_unknown"
        assert reply.header("Location") == f"/orders?client_order_id={key}"
        assert reply.header("Retry-After") is None
        assert "it is unknown whether the trade was executed" in reply.json["error"]["message"]
        assert f'Idempotency-Key "{key}"' in reply.json["error"]["message"]
        bazaar.wait_ready()
        found = await web.trade("buy", 5, "GameStart", key)
        assert found.data["transaction_number"] == 1
        assert await web.stock("GameStart") == {
            "name": "GameStart",
            "price": 15.99,
            "quantity": 95,
            "volume": 5,
            "halted": False,
        }
        assert await web.numbers() == [1]
