"""One request, sent to one front-end after the other until it is settled. Pure."""

from collections.abc import Sequence
from typing import TypeVar

from .answers import Answer, Broken
from .errors import CallFailed, Refused
from .requests import Call
from .retries import Attempts, Doubt
from .steps import Open, Pause, Send, Steps

__all__ = ["Frontends", "settle"]

T = TypeVar("T")


class Frontends:
    """The front-ends of a bazaar. One is asked until it fails; that it limits the rate of its
    clients is no failure."""

    def __init__(self, urls: Sequence[str]) -> None:
        if not urls or any(not url.startswith(("http://", "https://")) for url in urls):
            raise ValueError(f"not the URLs of front-ends, as http://127.0.0.1:8081: {urls}")
        self._urls = [url.rstrip("/") for url in urls]
        self._at = 0

    @property
    def url(self) -> str:
        """Of the one to ask."""
        return self._urls[self._at]

    def failed(self, url: str) -> None:
        """Ask the next one, unless another call has already found that `url` fails."""
        if url == self.url:
            self._at = (self._at + 1) % len(self._urls)


def settle(
    call: Call[T], frontends: Frontends, attempts: Attempts, step: type[Send] | type[Open] = Send
) -> Steps[T]:
    """Take `step` with the request of `call` until there is a value, a refusal, or no time."""
    doubt = Doubt()
    while True:
        url = frontends.url
        reply = yield step(url, call.request, attempts.timeout())
        assert isinstance(reply, Answer | Broken)
        try:
            return call.value(reply)
        except CallFailed as why:
            known = doubt.after(why, reply)
            if isinstance(why, Refused):
                raise known from None
            pause = attempts.pause(why.retry_after)
            if pause is None:
                raise known from None
            if not why.limited:
                frontends.failed(url)
        yield Pause(pause)
