"""Pushes of several partitions come to one endpoint: the life of a push says whose it is."""

from typing import Any

from twisted_bazaar.frontend.partitions.subscriptions import PushRouter
from twisted_bazaar.rpc.push import Push, PushReply


class Subscriber:
    """Stands in for the `Subscriber` of one partition."""

    def __init__(self, life: int, notice: str | None = None) -> None:
        self.life = life
        self.pushed: list[Push] = []
        self.notice = lambda: notice

    def push(self, push: Push) -> PushReply:
        self.pushed.append(push)
        return PushReply(upto=push.upto, stamp=None)


def push(life: int) -> Push:
    return Push(life=life, history="log", upto=9, floors={}, stamp=None, seconds=0.0)


def test_a_push_goes_to_the_subscription_of_its_life() -> None:
    subscribers: Any = [Subscriber(11), Subscriber(12)]
    router = PushRouter("token", subscribers)
    assert router.token == "token"
    router.push(push(12))
    assert [len(each.pushed) for each in subscribers] == [0, 1]
    subscribers[0].life = 13
    router.push(push(13))
    assert [len(each.pushed) for each in subscribers] == [1, 1]


def test_a_push_of_an_earlier_subscription_is_answered_and_earns_no_lease() -> None:
    subscribers: Any = [Subscriber(11), Subscriber(12)]
    reply = PushRouter("token", subscribers).push(push(10))
    assert reply == PushReply(upto=9, stamp=None)
    assert not any(each.pushed for each in subscribers)


def test_what_operators_should_know_of_any_partition_is_said() -> None:
    subscribers: Any = [Subscriber(11), Subscriber(12, "kept out")]
    assert PushRouter("token", subscribers).notice() == "kept out"
    assert PushRouter("token", subscribers[:1]).notice() is None
