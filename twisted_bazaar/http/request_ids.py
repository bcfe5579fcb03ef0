"""Ids of requests: the client's own, or made here. Pure.

An id is in every answer, in each log line about its request, and goes along with the calls that are
made for it.
"""

import itertools
import re
from collections.abc import Iterable, Sequence

__all__ = ["HEADER", "ID", "RequestIds", "carried", "given_id"]

HEADER = b"X-Request-ID"

ID = r"[!-~]{1,128}"
"""A pattern of all ids."""

_ID = re.compile(ID.encode("ascii"))
_CARRIED_IDS = 8
"""Ids that one call carries at most: those of its first requests."""


class RequestIds:
    """Each call returns an id that no other call returns, in this process or another."""

    def __init__(self, process: str) -> None:
        """`process` names this process, and no other."""
        self._process = process
        self._counter = itertools.count(1)

    def __call__(self) -> str:
        # Nobody gains by guessing one: no randomness is needed for each.
        return f"{self._process}-{next(self._counter):x}"


def given_id(headers: Sequence[bytes] | None) -> str:
    """The id in these values of the header; empty: the client gave none, two, or one that is not 1
    to 128 printable ASCII characters without spaces."""
    if headers is None or len(headers) != 1 or _ID.fullmatch(headers[0]) is None:
        return ""
    return headers[0].decode("ascii")


def carried(request_ids: Iterable[str]) -> str:
    """What a call for these requests carries: their ids, with spaces between, without repeats and
    bounded."""
    distinct = dict.fromkeys(itertools.islice(request_ids, _CARRIED_IDS))
    return " ".join(distinct)
