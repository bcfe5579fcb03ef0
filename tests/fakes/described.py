"""The examples of the description, as requests and as what is compared with their answers."""

import json
from typing import Any

import msgspec

from twisted_bazaar.frontend.api.description.document import Described
from twisted_bazaar.frontend.api.description.vocabulary import Example
from twisted_bazaar.frontend.api.old_shape import in_old_shape

VARYING = {
    *("time", "role", "term", "last_index", "last_number", "digest", "disk_seconds"),
    *("leader", "address", "lease_seconds", "applied_index", "behind", "behind_seconds"),
    "figures",
}
"""Fields that two bazaars that are asked the same show differently."""


def target_of(route: Described, example: Example) -> str:
    """Path and query string of `example` at `route`."""
    return route.old + example.target


def asked(example: Example) -> tuple[dict[str, str], bytes | None]:
    """Headers and body of the request."""
    if example.body is msgspec.UNSET:
        return {**example.sent}, None
    body = example.body if isinstance(example.body, bytes) else json.dumps(example.body).encode()
    return {"Content-Type": "application/json", **example.sent}, body


def answer_of(route: Described, example: Example) -> Any:
    """The body that `example` shows, read; None: it has none."""
    if not example.answer:
        return None
    return json.loads(in_old_shape(example.answer) if route.old else example.answer)


def masked(value: Any) -> Any:
    """`value` without what varies."""
    if isinstance(value, dict):
        return {name: "" if name in VARYING else masked(each) for name, each in value.items()}
    if isinstance(value, list):
        return [masked(each) for each in value]
    return value
