"""A bazaar on the order logs of an earlier release, which hold neither prices nor limits."""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.fakes.certificates import FRONTEND
from tests.fakes.histories import LISTED, extend
from twisted_bazaar.consensus.entries import Entry, Opened
from twisted_bazaar.consensus.log import Write
from twisted_bazaar.frontend.trading.keys import FreshKeys
from twisted_bazaar.market import Repriced, Side, Traded
from twisted_bazaar.rpc.bazaar.v1 import order_pb2
from twisted_bazaar.rpc.bazaar.v1.order_pb2_grpc import OrdersStub
from twisted_bazaar.rpc.changes import change_to_wire
from twisted_bazaar.sending import Sending
from twisted_bazaar.storage.logfile import LogFile
from twisted_bazaar.tools.inspection import verify

from .bazaar import Bazaar
from .inside import channel_to
from .waiting import wait_until

pytestmark = pytest.mark.slow

REPLICAS = (1, 2, 3)
SECONDS = 5.0
MADE = FreshKeys(Random(1))()
OLD: list[Entry] = extend(
    [],
    [
        Opened(leader=3, cluster="0123456789abcdef", members=REPLICAS, name="old"),
        LISTED,
        Traded(1, "chosen", "GameStart", Side.BUY, 5),
        Traded(2, MADE, "Fish, Co", Side.SELL, 2),
    ],
)


def with_log(folder: Path, replica: int) -> None:
    log = LogFile(folder, replica, Random(1))
    log.write(Write(1, 3, None, (), trusted=True))
    log.write(Write(1, 3, None, tuple(OLD)))
    log.close()


@pytest.fixture
def bazaar(tmp_path: Path) -> Iterator[Bazaar]:
    bazaar = Bazaar(tmp_path)
    for replica in REPLICAS:
        with_log(bazaar.data / f"order-{replica}", replica)
    with bazaar:
        yield bazaar


def reprice(bazaar: Bazaar, cents: int) -> None:
    """Change the price of GameStart, at whichever replica leads."""

    def done() -> bool:
        for replica in REPLICAS:
            with channel_to(bazaar, f"order-{replica}", FRONTEND) as channel:
                orders = OrdersStub(channel)
                status = orders.Status(order_pb2.StatusRequest(), timeout=SECONDS)
                sending = Sending(
                    term=status.term,
                    life=1,
                    number=1,
                    expected=(),
                    expires=(status.clock + SECONDS,),
                )
                request = change_to_wire(Repriced("GameStart", cents), sending)
                reply = orders.Change(request, timeout=SECONDS)
                if reply.WhichOneof("outcome") == "index":
                    return True
        return False

    wait_until(done, "a replica changes the price", SECONDS)


def body(bazaar: Bazaar, method: str, path: str, sent: Any = None) -> Any:
    answer = bazaar.request(method, path, sent)
    assert answer.status == 200, answer
    return answer.body["data"]


def test_an_old_order_keeps_its_price_whatever_the_price_is_now(bazaar: Bazaar) -> None:
    reprice(bazaar, 2000)
    again = {"name": "GameStart", "quantity": 5, "type": "buy", "client_order_id": "chosen"}
    for restarted in (False, True):
        if restarted:
            bazaar.stop()
            bazaar.start()
        first, second, *_ = body(bazaar, "GET", "/orders")
        shown = [(each["price"], each["client_order_id"]) for each in (first, second)]
        assert shown == [(15.99, "chosen"), (20.50, None)]
        assert body(bazaar, "POST", "/orders", again)["transaction_number"] == 1
        assert body(bazaar, "GET", "/stocks/GameStart")["price"] == 20.00
    body(bazaar, "POST", "/orders", {"name": "GameStart", "quantity": 1, "type": "buy"})
    assert body(bazaar, "GET", "/orders/3")["price"] == 20.00
    bazaar.stop()
    for replica in REPLICAS:
        assert verify(bazaar.data / f"order-{replica}").last_number == 3
