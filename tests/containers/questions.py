"""What is asked of the bazaar from outside, over REST."""

import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import TypeVar

import msgspec

from .engine import Failed

__all__ = ["alike", "cached", "leader", "readiness", "until"]

T = TypeVar("T")

ANSWER_SECONDS = 8.0
POLL_SECONDS = 0.1
READY = "ready"


class Row(msgspec.Struct):
    """An order replica, as `/replicas` shows it."""

    id: int
    role: str
    last_number: int
    last_index: int
    digest: str
    reachable: bool


class Rows(msgspec.Struct):
    data: list[Row]


def until(happened: Callable[[], T], what: str, within: float) -> T:
    """Poll until `happened()` is true and return that. Raises `Failed` after `within` seconds."""
    deadline = time.monotonic() + within
    while not (result := happened()):
        if time.monotonic() > deadline:
            raise Failed(f"not within {within:g} s: {what}")
        time.sleep(POLL_SECONDS)
    return result


def get(url: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body; status 0 and why, if nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_SECONDS) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code, dict(refused.headers), refused.read()
    except OSError as why:
        return 0, {}, str(why).encode()


def readiness(url: str) -> str:
    """What `/readyz` says: `ready`, the reason why it is not, or `silent`."""
    status, _, body = get(f"{url}/readyz")
    if status == 200:
        return READY
    return str(msgspec.json.decode(body)["error"]["message"]) if status else "silent"


def replicas(url: str) -> list[Row]:
    status, _, body = get(f"{url}/replicas")
    return msgspec.json.decode(body, type=Rows).data if status == 200 else []


def leader(url: str) -> int:
    """The id of the replica that leads; 0: none is known to."""
    return next((each.id for each in replicas(url) if each.role == "leader"), 0)


def alike(url: str) -> Row | None:
    """Where all replicas are, if all can be reached and hold the same log."""
    rows = replicas(url)
    ends = {(each.last_number, each.last_index, each.digest) for each in rows}
    return rows[0] if len(ends) == 1 and all(each.reachable for each in rows) else None


def cached(url: str) -> bool:
    """Whether a lookup is answered from the cache."""
    _, headers, _ = get(f"{url}/stocks/GameStart")
    return headers.get("X-Cache") == "hit"
