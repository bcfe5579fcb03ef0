"""The steps that a call of the client is made of. Pure.

A call is a generator of steps. Its driver takes each step, and sends back what came of it:

    Send     send the request                    an `Answer`, or `Broken`
    Open     send it; its body is a stream       an `Answer`, or `Broken`; if the status is 200, the
                                                 body is empty, and the stream is open
    Read     the next bytes of the open stream   bytes; none: it has ended or broken, or was silent
                                                 for so long
    Pause    wait                                None
    Found    hand the value to the user          None

The generator returns the result of the call, or raises `CallFailed`.
"""

from collections.abc import Generator
from typing import Generic, TypeAlias, TypeVar

import msgspec

from .answers import Answer, Broken
from .requests import Request

__all__ = ["Findings", "Found", "Open", "Pause", "Read", "Reply", "Send", "Step", "Steps"]

T = TypeVar("T")


class Send(msgspec.Struct, frozen=True):
    url: str
    """Of the front-end."""
    request: Request
    seconds: float
    """For the whole answer."""


class Open(msgspec.Struct, frozen=True):
    url: str
    request: Request
    seconds: float
    """For the head of the answer, and the body of any but a stream."""


class Read(msgspec.Struct, frozen=True):
    seconds: float


class Pause(msgspec.Struct, frozen=True):
    seconds: float


class Found(msgspec.Struct, Generic[T], frozen=True):
    value: T


Step: TypeAlias = Send | Open | Read | Pause
Reply: TypeAlias = Answer | Broken | bytes | None
Steps: TypeAlias = Generator[Step, Reply, T]
Findings: TypeAlias = Generator[Step | Found[T], Reply, None]
