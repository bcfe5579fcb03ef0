"""Order replicas and catalogs as a front-end sees them; each call waits for the test to answer."""

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred

from twisted_bazaar.consensus.messages import CampaignReply, Status
from twisted_bazaar.errors import Unavailable
from twisted_bazaar.rpc.push import Subscription
from twisted_bazaar.selection import Selection


def follows(replica: int, term: int = 1) -> Status:
    """A follower's status."""
    return Status(
        replica=replica,
        role="follower",
        term=term,
        leader=0,
        last_index=0,
        last_number=0,
        digest="",
    )


def leads(replica: int, term: int = 1) -> Status:
    """A leader's status."""
    return Status(
        replica=replica,
        role="leader",
        term=term,
        leader=replica,
        last_index=0,
        last_number=0,
        digest="",
    )


def won(replica: int, term: int) -> CampaignReply:
    """`replica` was asked to campaign, and leads."""
    return CampaignReply(leader=replica, term=term, wait=0.0)


def refused(wait: float, leader: int = 0, term: int = 1) -> CampaignReply:
    """The replica that was asked to campaign must wait for `wait` seconds."""
    return CampaignReply(leader=leader, term=term, wait=wait)


LOST = CampaignReply(leader=0, term=1, wait=0.0)
"""The campaign failed, and nothing says when another could succeed."""


class Call:
    """A call, and the Deferred that the caller holds."""

    def __init__(self, name: str, arguments: tuple[Any, ...]) -> None:
        self.name = name
        self.arguments = arguments
        self.answer: Deferred[Any] = Deferred()

    def reply(self, value: object = None) -> None:
        self.answer.callback(value)

    def fail(self, error: Exception | None = None) -> None:
        """The call fails: without `error`, as one without an answer."""
        self.answer.errback(error or Unavailable("gone"))


class _Fake:
    def __init__(self) -> None:
        self.asked: list[Call] = []
        """Everything, in order."""
        self.request_ids: list[str] = []
        """What each call carried that can carry ids of requests."""

    def _ask(self, name: str, *arguments: Any) -> Deferred[Any]:
        call = Call(name, arguments)
        self.asked.append(call)
        return call.answer

    def open(self, name: str) -> list[Call]:
        """The calls of this name that are not answered yet."""
        return [call for call in self.asked if call.name == name and not call.answer.called]

    def only(self, name: str) -> Call:
        """The one call of this name that is not answered yet."""
        [call] = self.open(name)
        return call


class FakeReplica(_Fake):
    """Stands in for a `ReplicaClient`."""

    def status(self) -> Deferred[Any]:
        return self._ask("status")

    def campaign(self) -> Deferred[Any]:
        return self._ask("campaign")

    def follow(self, term: int) -> Deferred[Any]:
        return self._ask("follow", term)

    def trade(
        self, trades: Sequence[Any], sending: Any, timeout: float, request_ids: str = "", *_: Any
    ) -> Deferred[Any]:
        self.request_ids.append(request_ids)
        return self._ask("trade", trades, sending, timeout)

    def change(self, change: Any, sending: Any, timeout: float) -> Deferred[Any]:
        return self._ask("change", change, sending, timeout)

    def change_members(self, change: Any, based_on: Any, timeout: float) -> Deferred[Any]:
        return self._ask("change_members", change, based_on, timeout)

    def hand_over(self, member: int, timeout: float) -> Deferred[Any]:
        return self._ask("hand_over", member, timeout)

    def get_order(
        self, number: int, timeout: float, request_id: str = "", *_: Any
    ) -> Deferred[Any]:
        self.request_ids.append(request_id)
        return self._ask("get_order", number, timeout)

    def list_orders(
        self, selection: Selection, timeout: float, request_id: str = "", *_: Any
    ) -> Deferred[Any]:
        self.request_ids.append(request_id)
        return self._ask("list_orders", selection, timeout)

    def look_up(self, names: Sequence[str], timeout: float) -> Deferred[Any]:
        return self._ask("look_up", names, timeout)

    def market(self, known: Any, timeout: float) -> Deferred[Any]:
        return self._ask("market", known, timeout)


class FakeCatalog(_Fake):
    """Stands in for a `CatalogClient`."""

    def look_up(self, names: Sequence[str], timeout: float) -> Deferred[Any]:
        return self._ask("look_up", names, timeout)

    def market(self, known: Any, timeout: float) -> Deferred[Any]:
        return self._ask("market", known, timeout)

    def subscribe(self, subscription: Subscription, timeout: float) -> Deferred[Any]:
        return self._ask("subscribe", subscription, timeout)


class FakeStocks(_Fake):
    """A `MarketSource`: the catalogs, or the leader by `Replicas`."""

    def look_up(self, names: Sequence[str]) -> Deferred[Any]:
        return self._ask("look_up", names)

    def market(self, known: Any) -> Deferred[Any]:
        return self._ask("market", known)


def result_of(asked: Deferred[Any]) -> list[Any]:
    """The result of the Deferred, once there is one; a failure as its exception."""
    results: list[Any] = []
    asked.addCallbacks(results.append, lambda failure: results.append(failure.value))
    return results
