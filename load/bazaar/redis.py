"""What a Redis holds of a bazaar's, and how to spoil it: lose it all, or bring back the past.

A cache need not be right, so neither may ever be seen by a client.
"""

import socket
from collections.abc import Mapping, Sequence
from typing import Any

import hiredis
from twisted.internet.threads import deferToThread

from twisted_bazaar.runtime.address import Address

__all__ = ["Redis"]

KEYS = b"bazaar:*"
TIMEOUT_SECONDS = 1.0
RECEIVE_BYTES = 65536

Command = tuple[Any, ...]
"""Of bytes. The stubs of hiredis would have it that a command is one word."""


class Redis:
    """The server at `address`. Everything raises OSError if it does not answer, or not well."""

    def __init__(self, address: Address) -> None:
        self._address = address

    async def flush(self) -> None:
        """Have it lose everything."""
        await self._ask((b"FLUSHALL",))

    async def quotes(self) -> Mapping[bytes, bytes]:
        """All that front-ends keep there now."""
        (keys,) = await self._ask((b"KEYS", KEYS))
        if not keys:
            return {}
        (values,) = await self._ask((b"MGET", *keys))
        found = zip(keys, values, strict=True)
        return {key: value for key, value in found if value is not None}

    async def put_back(self, quotes: Mapping[bytes, bytes]) -> None:
        """Have it hold these again, whatever it has by now."""
        await self._ask(*((b"SET", key, value) for key, value in quotes.items()))

    async def _ask(self, *commands: Command) -> Sequence[Any]:
        replies: Sequence[Any] = await deferToThread(self._exchange, commands)
        return replies

    def _exchange(self, commands: Sequence[Command]) -> Sequence[Any]:
        """The replies to `commands`, on a connection of their own. Blocks."""
        reader = hiredis.Reader()
        replies: list[Any] = []
        where = self._address.host, self._address.port
        with socket.create_connection(where, TIMEOUT_SECONDS) as connection:
            connection.sendall(b"".join(hiredis.pack_command(command) for command in commands))
            while len(replies) < len(commands):
                reply = reader.gets()
                if isinstance(reply, Exception):
                    raise OSError(str(reply))
                if reply is not False:
                    replies.append(reply)
                elif received := connection.recv(RECEIVE_BYTES):
                    reader.feed(received)
                else:
                    raise OSError("the connection was closed")
        return replies
