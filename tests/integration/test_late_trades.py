"""Trades that reach a real leader after their client has been answered are not executed."""

from collections.abc import Iterator

import grpc
import pytest

from tests.fakes.certificates import FRONTEND
from twisted_bazaar.rpc.bazaar.v1 import market_pb2, order_pb2
from twisted_bazaar.rpc.bazaar.v1.order_pb2_grpc import OrdersStub

from .cluster import Cluster
from .inside import channel_to
from .replicas import wait_converged
from .waiting import wait_until

pytestmark = pytest.mark.slow

STOCK = "GameStart"
SECONDS = 5.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("late") / "cluster") as running:
        yield running


class Leader:
    """The replica that leads, asked by a front-end of the test's own."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._cluster = cluster
        self._channel = channel_to(cluster, name, FRONTEND)
        self._stub = OrdersStub(self._channel)
        self.status = wait_until(self._leads, f"{name} leads", 15, cluster.tail)

    def _leads(self) -> order_pb2.StatusReply | None:
        try:
            status = self._stub.Status(order_pb2.StatusRequest(), timeout=SECONDS)
            # It decides nothing before its first entry is committed.
            self.last_number()
        except grpc.RpcError:
            return None
        return status if status.role == "leader" else None

    def trade(self, key: str, side: int, quantity: int, **sending: object) -> order_pb2.Outcome:
        trade = order_pb2.Trade(
            key=key,
            stock=STOCK,
            side=side,  # type: ignore[arg-type]
            quantity=quantity,
        )
        said = {"term": self.status.term, "life": 7, "expires": [self.status.clock + 60], **sending}
        request = order_pb2.TradeRequest(trades=[trade], **said)  # type: ignore[arg-type]
        [outcome] = self._stub.Trade(request, timeout=SECONDS).outcomes
        return outcome

    def last_number(self) -> int:
        listed = self._stub.ListOrders(
            order_pb2.ListOrdersRequest(after=0, limit=1000), timeout=SECONDS
        )
        return len(listed.orders)

    def close(self) -> None:
        self._channel.close()


BUY, SELL = market_pb2.SIDE_BUY, market_pb2.SIDE_SELL


def test_a_trade_that_was_given_up_is_not_executed_by_the_same_leader(cluster: Cluster) -> None:
    leader = Leader(cluster, "order-3")
    rejected = leader.trade("given up", BUY, 101, number=2)
    assert rejected.rejection == order_pb2.REJECTION_NOT_ENOUGH_SHARES
    assert leader.trade("more", SELL, 100, number=3).number
    before = leader.last_number()
    late = leader.trade("given up", BUY, 101, number=1)
    assert late.retry == order_pb2.RETRY_OUTCOME_UNKNOWN
    expired = leader.trade("expired", BUY, 1, number=4, expires=[leader.status.clock])
    assert expired.retry == order_pb2.RETRY_OUTCOME_UNKNOWN
    assert leader.last_number() == before
    leader.close()


def test_a_trade_sent_to_one_leadership_is_not_executed_in_a_later_one(
    cluster: Cluster,
) -> None:
    leader = Leader(cluster, "order-3")
    term = leader.status.term
    leader.close()
    with cluster.without("order-3"):
        Leader(cluster, "order-2").close()
    wait_converged(cluster, 0)
    with cluster.without("order-2"):
        leader = Leader(cluster, "order-3")
        assert leader.status.term > term
        before = leader.last_number()
        late = leader.trade("late", BUY, 1, number=1, term=term)
        assert late.retry == order_pb2.RETRY_NOT_LEADER
        assert leader.last_number() == before
        assert leader.trade("in time", BUY, 1, number=1).number == before + 1
        leader.close()
    wait_converged(cluster, 0)
