"""What is read from a bazaar besides the calls of its clients: a path, once."""

from twisted.internet.defer import Deferred

from twisted_bazaar.client.answers import Answer, Broken
from twisted_bazaar.client.requests import Request
from twisted_bazaar.client.session import Session

__all__ = ["NoAnswer", "get"]


class NoAnswer(Exception):
    """No complete answer came within the timeout."""


def get(session: Session, url: str, path: str, timeout: float) -> Deferred[Answer]:
    """GET, once, from the server at `url`. Fails with `NoAnswer` unless the whole answer came
    within `timeout` seconds."""
    return session.send(url, Request("GET", path), timeout).addCallback(_answer)


def _answer(reply: Answer | Broken) -> Answer:
    if isinstance(reply, Broken):
        raise NoAnswer(reply.why)
    return reply
