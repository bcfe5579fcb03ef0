"""Takes in the pushes of all partitions, at the one internal endpoint."""

from collections.abc import Sequence

from twisted_bazaar.frontend.cache.subscription import Subscriber
from twisted_bazaar.rpc.push import Push, PushReply

__all__ = ["PushRouter"]


class PushRouter:
    """Stands before one `Subscriber` for each partition. All have one token: the life of a push
    says whose it is."""

    def __init__(self, token: str, subscribers: Sequence[Subscriber]) -> None:
        self.token = token
        self._subscribers = subscribers

    def push(self, push: Push) -> PushReply:
        """Take in a push. It may come late, twice or out of order. One of an earlier subscription
        is answered, too, so that its catalog does not wait."""
        for subscriber in self._subscribers:
            if subscriber.life == push.life:
                return subscriber.push(push)
        return PushReply(upto=push.upto, stamp=None)

    def notice(self) -> str | None:
        """What operators should know of any partition; None: nothing."""
        return next(filter(None, (each.notice() for each in self._subscribers)), None)
