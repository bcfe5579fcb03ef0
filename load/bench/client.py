"""A closed loop, for machines without `wrk`. It prints its figures as a line of JSON.

python -m load.bench.client URL lookups|trades STOCK,STOCK… CONNECTIONS SECONDS
"""

import json
import sys
from itertools import cycle

from twisted.internet import task
from twisted.internet.defer import Deferred, DeferredList
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.http_headers import Headers

from load.run.latencies import Latencies
from twisted_bazaar.client.session import Body
from twisted_bazaar.runtime.http_client import BytesProducer, Endpoints
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.runtime.services import monotonic_seconds

from .sample_line import sample_line

__all__ = ["main"]

ANSWER_SECONDS = 8.0
JSON = Headers({b"Content-Type": [b"application/json"]})


class _Connection:
    """A kept connection for one request at a time.

    It uses the bare `Agent`: treq would take as much CPU again, which the servers that are
    measured on the same machine would lack.
    """

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._pool = HTTPConnectionPool(reactor, persistent=True)
        self._pool.maxPersistentPerHost = 1
        self._pool.retryAutomatically = False
        # Twisted's own factory makes an endpoint for a host name with each request.
        self._agent = Agent.usingEndpointFactory(reactor, Endpoints(reactor), pool=self._pool)

    def get(self, url: bytes) -> Deferred[int]:
        """The status of the answer. Fails if there is none within `ANSWER_SECONDS`."""
        return self._bounded(b"GET", url, None)

    def post(self, url: bytes, body: bytes) -> Deferred[int]:
        """POST JSON; as `get`."""
        return self._bounded(b"POST", url, body)

    def close(self) -> Deferred[None]:
        closed: Deferred[None] = self._pool.closeCachedConnections()
        return closed

    def _bounded(self, method: bytes, url: bytes, body: bytes | None) -> Deferred[int]:
        asked = Deferred.fromCoroutine(self._ask(method, url, body))
        return asked.addTimeout(ANSWER_SECONDS, self._reactor)

    async def _ask(self, method: bytes, url: bytes, body: bytes | None) -> int:
        sent = (None, None) if body is None else (JSON, BytesProducer(body))
        response = await self._agent.request(method, url, *sent)
        answer = Body()
        response.deliverBody(answer)
        await answer.whole
        status: int = response.code
        return status


async def _loop(
    reactor: Reactor, url: str, kind: str, stocks: list[str], connections: int, seconds: float
) -> None:
    latencies, errors = Latencies(), 0
    orders = f"{url}/orders".encode()
    lookups = cycle([f"{url}/stocks/{name}".encode() for name in stocks])
    trades = cycle([json.dumps({"name": name, "quantity": 1, "type": side}).encode()
                    for name in stocks for side in ("buy", "sell")])  # fmt: skip
    until = monotonic_seconds() + seconds

    async def client() -> None:
        nonlocal errors
        connection = _Connection(reactor)
        while (began := monotonic_seconds()) < until:
            try:
                if kind == "trades":
                    status = await connection.post(orders, next(trades))
                else:
                    status = await connection.get(next(lookups))
                errors += status != 200
            except Exception:
                errors += 1
            latencies.record(monotonic_seconds() - began)
        await connection.close()

    clients = [Deferred.fromCoroutine(client()) for _ in range(connections)]
    await DeferredList(clients, fireOnOneErrback=True)
    print(sample_line(latencies, seconds, errors))


def main() -> None:
    url, kind, stocks, connections, seconds = sys.argv[1:]
    task.react(
        lambda reactor: Deferred.fromCoroutine(
            _loop(reactor, url, kind, stocks.split(","), int(connections), float(seconds))
        )
    )


if __name__ == "__main__":
    main()
