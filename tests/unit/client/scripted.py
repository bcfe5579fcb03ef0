"""A core of the client, whose requests are answered by a script, on a clock of its own."""

from random import Random
from typing import Any, TypeVar

import msgspec

from twisted_bazaar.client.answers import Answer, Broken
from twisted_bazaar.client.core import Core
from twisted_bazaar.client.steps import Findings, Found, Open, Pause, Read, Reply, Send, Steps

T = TypeVar("T")

LOST = Broken("the connection broke")
NOT_SENT = Broken("no connection", served=False)
STOCK = {"name": "Fish", "price": 20.5, "quantity": 3, "volume": 9}


def success(data: object, **headers: str) -> Answer:
    return Answer(200, _headers(headers), msgspec.json.encode({"data": data}))


def failure(code: int, reason: str, **headers: str) -> Answer:
    error = {"code": code, "reason": reason, "message": f"because {reason}"}
    return Answer(code, _headers(headers), msgspec.json.encode({"error": error}))


def placed(number: int = 1, **headers: str) -> Answer:
    data = b'{"data":{"transaction_number":%d,"price":15.90,"total":79.50}}' % number
    return Answer(200, _headers(headers), data)


def _headers(named: dict[str, str]) -> dict[str, str]:
    return {name.lower().replace("_", "-"): value for name, value in named.items()}


class Scripted:
    """Takes the steps of calls; each request, and each read, is answered by the next of `replies`,
    after `answer_seconds`, or when its time is over if that is sooner."""

    def __init__(
        self,
        *replies: Reply,
        urls: tuple[str, ...] = ("http://a",),
        deadline: float = 15.0,
        answer_seconds: float = 0.0,
    ) -> None:
        self.replies = list(replies)
        self.sent: list[Send | Open] = []
        self.pauses: list[float] = []
        self.now = 1000.0
        self._answer_seconds = answer_seconds
        self._keys = iter(range(1, 1000))
        self.core = Core(
            urls,
            seconds=lambda: self.now,
            random=Random(1),
            fresh_key=lambda: f"key-{next(self._keys)}",
            deadline=deadline,
        )

    def run(self, steps: Steps[T]) -> T:
        reply: Reply = None
        while True:
            try:
                step = steps.send(reply)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            reply = self._take(step)

    def found(self, steps: Findings[T]) -> list[T]:
        """All that is found until the calls end, or the script does."""
        values: list[T] = []
        reply: Reply = None
        while True:
            try:
                step = steps.send(reply)
            except StopIteration:
                return values
            reply = None
            if isinstance(step, Found):
                values.append(step.value)
            elif not self.replies and not isinstance(step, Pause):
                return values
            else:
                reply = self._take(step)

    def _take(self, step: Any) -> Reply:
        if isinstance(step, Pause):
            self.pauses.append(step.seconds)
            self.now += step.seconds
            return None
        if isinstance(step, Send | Open):
            self.sent.append(step)
            self.now += min(self._answer_seconds, step.seconds)
        assert isinstance(step, Send | Open | Read)
        return self.replies.pop(0)

    @property
    def bodies(self) -> list[Any]:
        """What was sent, as JSON."""
        return [msgspec.json.decode(each.request.body or b"null") for each in self.sent]
