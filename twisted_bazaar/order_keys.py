"""Keys of orders as the bazaar holds them: with the client that they belong to. Pure.

Each client has keys of its own, so the key that an order has in the log is a *scoped* one: the
client's name and the key that it chose, with a separator between that is in neither. No two clients
share a key, and log, index and engine need to know nothing of clients. Only what clients and
operators are shown takes it apart: REST, streams, exports and the views of the engine.
"""

__all__ = ["MAX_SCOPED_KEY_CHARACTERS", "SEPARATOR", "client_of", "own_key", "scoped"]

SEPARATOR = "\x1f"
"""The ASCII unit separator. A name of a client has a-z, 0-9 and `._-`, and a key printable
characters only."""
MAX_SCOPED_KEY_CHARACTERS = 32 + 1 + 128


def scoped(client: str, key: str) -> str:
    """The scoped key of what `client` calls `key`. Without clients, whose name is empty, it is
    `key`."""
    return f"{client}{SEPARATOR}{key}" if client else key


def client_of(key: str) -> str:
    """The client that a scoped key belongs to; empty: none."""
    client, found, _ = key.partition(SEPARATOR)
    return client if found else ""


def own_key(key: str) -> str:
    """What the client calls a scoped key."""
    return key.rpartition(SEPARATOR)[2]
