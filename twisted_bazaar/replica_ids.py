"""The ids of order replicas, as people write them. Pure."""

__all__ = ["MAX_REPLICA", "read_replica"]

MAX_REPLICA = 2**31 - 1
"""The messages inside have no room for more."""


def read_replica(text: str) -> int:
    """An id, from 1 to `MAX_REPLICA`. Raises ValueError."""
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= 10 else 0
    if not 0 < number <= MAX_REPLICA:
        raise ValueError(f"must be the id of a replica, from 1 to {MAX_REPLICA}, not {text!r:.80}")
    return number
