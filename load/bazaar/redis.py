"""Faults of a bazaar's Redis: its content is lost, or replaced by an older one.

The front-ends do not trust a cache's content, so clients must notice neither (invariant 9).
"""

import socket
from collections.abc import Mapping, Sequence
from typing import TypeAlias, cast

import hiredis
from twisted.internet.threads import deferToThread

from twisted_bazaar.runtime.address import Address

__all__ = ["Redis"]

KEYS = b"bazaar:*"
TIMEOUT_SECONDS = 1.0
RECEIVE_BYTES = 65536

Command: TypeAlias = tuple[bytes, ...]

Reply: TypeAlias = "bytes | int | list[bytes | None] | None"


class Redis:
    """The server at `address`. Methods raise OSError if it does not answer, or with an error."""

    def __init__(self, address: Address) -> None:
        self._address = address

    async def flush(self) -> None:
        """Delete everything."""
        await self._ask((b"FLUSHALL",))

    async def quotes(self) -> Mapping[bytes, bytes]:
        """What front-ends store there now."""
        keys = await self._ask_for_list(b"KEYS", KEYS)
        if not keys:
            return {}
        found = zip(keys, await self._ask_for_list(b"MGET", *filter(None, keys)), strict=True)
        return {key: value for key, value in found if key is not None and value is not None}

    async def put_back(self, quotes: Mapping[bytes, bytes]) -> None:
        """Store `quotes`, over what is there."""
        await self._ask(*((b"SET", key, value) for key, value in quotes.items()))

    async def _ask_for_list(self, *command: bytes) -> list[bytes | None]:
        (reply,) = await self._ask(command)
        if not isinstance(reply, list):
            raise OSError(f"the reply to {command[0]!r} is no list")
        return reply

    async def _ask(self, *commands: Command) -> Sequence[Reply]:
        replies: Sequence[Reply] = await deferToThread(self._exchange, commands)
        return replies

    def _exchange(self, commands: Sequence[Command]) -> Sequence[Reply]:
        """Send `commands` on a new connection, and return their replies. Blocks."""
        reader = hiredis.Reader()
        replies: list[Reply] = []
        where = self._address.host, self._address.port
        with socket.create_connection(where, TIMEOUT_SECONDS) as connection:
            # The stubs of hiredis allow a command of one word only.
            words = [cast("tuple[bytes]", command) for command in commands]
            connection.sendall(b"".join(map(hiredis.pack_command, words)))
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
