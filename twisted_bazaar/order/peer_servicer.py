"""The edge towards peers that call in frames: decodes, asks the node, encodes. On the reactor.

What would hold it up goes to a thread: decoding a long message, and encoding entries that are
read from the log file. So two requests may be stepped in another order than they were sent in, as
by gRPC.
"""

from collections.abc import Mapping
from functools import partial
from typing import NoReturn

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from twisted_bazaar.consensus.messages import PeerReply
from twisted_bazaar.errors import Unavailable, Unusable
from twisted_bazaar.rpc.peer_server import Method

from .node import OrderNode
from .peer_messages import (
    EXCHANGES,
    Blocking,
    Exchange,
    decode,
    decodes_at_once,
    encode,
    encodes_at_once,
)

__all__ = ["peer_methods"]


def peer_methods(node: OrderNode, blocking: Blocking) -> Mapping[int, Method]:
    """How `node` answers requests, by kind. `blocking` runs what would hold up the reactor."""
    edge = _Edge(node, blocking)
    return {each.kind: Method(each.name, partial(edge.step, each)) for each in EXCHANGES}


class _Edge:
    def __init__(self, node: OrderNode, blocking: Blocking) -> None:
        self._node = node
        self._blocking = blocking

    def step(self, exchange: Exchange, body: bytes) -> Deferred[bytes]:
        """The body of the reply to a request with `body`. Raises `Malformed`."""
        kind = exchange.request_body, exchange.request
        if decodes_at_once(body):
            reply = self._node.request(decode(body, *kind))
        else:
            reply = self._blocking(decode, body, *kind).addCallback(self._node.request)
        return reply.addCallback(self._encode)

    def _encode(self, reply: PeerReply) -> bytes | Deferred[bytes]:
        if encodes_at_once(reply):
            return encode(reply)
        return self._blocking(encode, reply).addErrback(self._cannot_read)

    def _cannot_read(self, failure: Failure) -> NoReturn:
        error = failure.value
        if not isinstance(error, Unusable | OSError):
            failure.raiseException()
        # What this replica's own files hold is not what was written: it must not go on.
        self._node.cannot_read(error)
        raise Unavailable(str(error))
